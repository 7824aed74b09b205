/** A short command inside a container, with what it prints. */
import { PassThrough } from 'node:stream'
import { HiveError } from '../../../proto/errors.ts'
import { dockerGet, dockerHijack, dockerPost } from '../docker.ts'
import { demux } from './logs.ts'

export interface InsideResult {
  readonly code: number
  readonly stdout: string
}

/** Bytes of output. */
const limit = 1024 * 1024

/** No input, no terminal, no shell. Throws HiveError 'command-failed' where it prints too much, and as docker's calls do. */
export async function runInside(container: string, command: readonly string[], signal: AbortSignal): Promise<InsideResult> {
  const body = { AttachStdin: false, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: command }
  const { Id } = await dockerPost<{ Id: string }>(`/containers/${encodeURIComponent(container)}/exec`, { body, signal })
  const connection = await dockerHijack(`/exec/${Id}/start`, { body: { Detach: false, Tty: false }, signal })
  const abort = (): void => void connection.destroy(new HiveError('cancelled', 'the command inside the container was stopped'))
  signal.addEventListener('abort', abort, { once: true })
  try {
    const stdout = await new Promise<string>((resolve, reject) => {
      const [out, err] = [new PassThrough(), new PassThrough()]
      const chunks: Buffer[] = []
      let length = 0
      out.on('data', (chunk: Buffer) => {
        length += chunk.length
        chunks.push(chunk)
        if (length > limit) connection.destroy(new HiveError('command-failed', `${command[0]} inside a container printed more than ${limit} bytes`))
      })
      err.resume()
      demux(connection, out, err)
      connection.on('error', reject)
      connection.on('end', () => out.end())
      connection.on('close', () => out.end())
      out.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    })
    const { ExitCode } = await dockerGet<{ readonly ExitCode: number | null }>(`/exec/${Id}/json`, { signal })
    return { code: ExitCode ?? 0, stdout }
  } finally {
    signal.removeEventListener('abort', abort)
    connection.destroy()
  }
}
