/** Lines for pipes and logs: events on standard error, the result on standard output. */
import { errorLines, linesOf } from './lines.ts'
import type { Renderer } from './renderer.ts'

export function plainRenderer(verbose: boolean): Renderer {
  const write = (lines: readonly string[]): void => {
    if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`)
  }
  return {
    event: (event) => write(linesOf(event, verbose)),
    result: (_data, text) => {
      if (text !== '') process.stdout.write(`${text}\n`)
    },
    error: (error) => write(errorLines(error)),
    close: () => undefined,
  }
}
