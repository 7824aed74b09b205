/** One process at a time, across processes and network namespaces: the kernel's flock, held by a child that ends with us. */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { HiveError } from '../../../proto/errors.ts'

/**
 * Runs `body` while holding the lock file. `waiting` is called once when someone else has it. The lock is free again as
 * soon as this process ends, however it ends: the child that holds it sees the end of its input.
 */
export async function withLock<T>(path: string, signal: AbortSignal, waiting: () => void, body: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true })
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()))
  try {
    await new Promise<void>((resolve, reject) => {
      const slow = setTimeout(waiting, 500)
      const stop = (error: Error): void => {
        clearTimeout(slow)
        holder.kill('SIGKILL')
        reject(error)
      }
      const abort = (): void => stop(new HiveError('cancelled', 'stopped while waiting for another process'))
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      holder.once('error', (cause) => stop(new HiveError('command-failed', `flock can't be run: ${cause.message}`, { hint: 'install util-linux', cause })))
      holder.once('close', () => stop(new HiveError('command-failed', `no lock on ${path}`, { hint: 'is its folder writable?' })))
      holder.stdout.once('data', () => {
        clearTimeout(slow)
        signal.removeEventListener('abort', abort)
        resolve()
      })
    })
    return await body()
  } finally {
    holder.stdin.end()
    await ended
  }
}
