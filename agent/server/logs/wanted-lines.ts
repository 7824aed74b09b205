/** Which lines of a log are wanted. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { HiveError } from '../../../proto/errors.ts'
import { logPath } from '../../../proto/log-files.ts'

/** The time that a line begins with, in this host's time zone; undefined where it has none. */
export function timeOfLine(line: string): Date | undefined {
  const [, ...parts] = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d) /.exec(line) ?? []
  if (parts.length === 0) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  return new Date(year, month - 1, day, hour, minute, second)
}

/** Lines not before the second of `since`; one without a time goes with the one before it. */
export async function* notBefore(lines: AsyncIterable<string>, since: Date): AsyncGenerator<string> {
  const least = Math.floor(since.getTime() / 1000) * 1000
  let wanted = false
  for await (const line of lines) {
    const at = timeOfLine(line)
    if (at !== undefined) wanted = at.getTime() >= least
    if (wanted) yield line
  }
}

/** Of the log of errors, whose lines name the log that each is in: those of one service. */
export async function* errorsOf(lines: AsyncIterable<string>, service: string): AsyncGenerator<string> {
  for await (const line of lines) {
    const file = line.split(' ', 3)[2] ?? ''
    if (file === logPath(service) || file.endsWith(`.${service}.log`)) yield line
  }
}

/** Lines that match, by grep: an expression may take longer than the agent could wait for it. Throws HiveError 'invalid-input' for one that is none. */
export async function* matching(lines: AsyncIterable<string>, expression: string, signal: AbortSignal): AsyncGenerator<string> {
  const child = spawn('grep', ['-aP', '--line-buffered', '-e', expression], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  const stop = (): boolean => child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  let complaint = ''
  child.stderr.on('data', (piece: Buffer) => {
    complaint = (complaint + piece.toString()).slice(-500)
  })
  const ended = new Promise<number | Error | null>((resolve) => child.once('error', resolve).once('close', resolve))
  // It may end before all was written: a bad expression.
  child.stdin.on('error', () => undefined)
  const feeding = feed(lines, child.stdin, ended)
  // Told below, where the lines are read.
  feeding.catch(stop)
  try {
    for await (const line of createInterface({ input: child.stdout })) yield line
    const code = await ended
    if (signal.aborted) return
    await feeding
    if (code !== 0 && code !== 1)
      throw new HiveError('invalid-input', `grep: ${code instanceof Error ? code.message : complaint.replace(/^grep: /, '').trim()}`)
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

async function feed(lines: AsyncIterable<string>, to: NodeJS.WritableStream, ended: Promise<unknown>): Promise<void> {
  let over = false
  void ended.then(() => {
    over = true
  })
  for await (const line of lines) {
    if (over) return
    // A write that fails is told by how it ends.
    if (!to.write(`${line}\n`)) await Promise.race([once(to, 'drain').catch(() => undefined), ended])
  }
  to.end()
}
