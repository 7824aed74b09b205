/** The system's log, by journalctl. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { LogLine, ReadLogRequest } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../../proto/errors.ts'

const linesByDefault = 100

/** Lines as they are read; the pipe to journalctl fills up and waits when the reader is slow. Ends when the signal is aborted. */
export async function* readJournalLines(request: ReadLogRequest, signal: AbortSignal): AsyncGenerator<LogLine> {
  if (request.unit.startsWith('-')) throw new HiveError('invalid-input', `"${request.unit}" is no unit name`)
  const args = ['-o', 'json', '--no-pager', '-n', String(request.lines || linesByDefault)]
  if (request.unit !== '') args.push('-u', request.unit)
  if (request.follow) args.push('-f')
  if (request.since !== undefined) args.push('--since', `@${Math.floor(request.since.getTime() / 1000)}`)
  signal.throwIfAborted()
  const child = spawn('journalctl', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  const stop = (): boolean => child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000)
  })
  const ended = new Promise<number | Error | null>((resolve) => child.once('error', resolve).once('close', resolve))
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const entry = parseEntry(line)
      if (entry !== undefined) yield entry
    }
    const code = await ended
    if (code !== 0 && !signal.aborted)
      throw new HiveError('command-failed', code instanceof Error ? code.message : `journalctl: exit code ${code}`, { log: complaint.split('\n') })
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** One object of `journalctl -o json`; undefined where it is none. Messages that are not UTF-8 come as arrays of bytes. */
export function parseEntry(line: string): LogLine | undefined {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
  const message = entry['MESSAGE']
  const micros = Number(entry['__REALTIME_TIMESTAMP'])
  return {
    at: Number.isFinite(micros) ? new Date(micros / 1000) : undefined,
    source: String(entry['_SYSTEMD_UNIT'] ?? entry['SYSLOG_IDENTIFIER'] ?? 'kernel'),
    line: Array.isArray(message) ? Buffer.from(message as number[]).toString() : String(message ?? ''),
    stderr: Number(entry['PRIORITY'] ?? 6) <= 3,
  }
}
