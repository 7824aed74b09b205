/** What a command shows: events while it works, one result at its end. */
import type { ErrorReport, HiveEvent } from '../../coordinator/events.ts'
import { jsonRenderer } from './json.ts'
import { plainRenderer } from './plain.ts'
import { terminalRenderer } from './terminal.ts'

export interface Renderer {
  event(event: HiveEvent): void
  /** The command's answer: data for JSON, text for people. */
  result(data: unknown, text: string): void
  error(error: ErrorReport): void
  /** Takes the live part off the screen. */
  close(): void
}

export type OutputKind = 'text' | 'json'

/** JSON when asked for, a live view on a terminal, plain lines elsewhere (pipes, CI, NO_COLOR terminals without movement). */
export function rendererFor(output: OutputKind, verbose: boolean): Renderer {
  if (output === 'json') return jsonRenderer()
  if (process.stderr.isTTY === true && process.env['TERM'] !== 'dumb' && process.env['CI'] === undefined) return terminalRenderer(verbose)
  return plainRenderer(verbose)
}
