/** Questions to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises'

/** Whether there is somebody to ask. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** What was typed, without spaces around it; '' for Ctrl-C and Ctrl-D, which are a no. */
export async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const left = new AbortController()
  terminal.once('close', () => left.abort())
  try {
    return (await terminal.question(question, { signal: AbortSignal.any([signal, left.signal]) })).trim()
  } catch {
    process.stderr.write('\n')
    return ''
  } finally {
    terminal.close()
  }
}
