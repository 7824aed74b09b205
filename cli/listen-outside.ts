/**
 * A port of this machine for a process that moved into the network of a private stage, which no browser is in: a process of its own listens where this one
 * came from, and hands on through a socket's path.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSea } from 'node:sea'
import { HiveError } from '../proto/errors.ts'

/** Whether this process moved there. */
export const inStageNetwork = (): boolean => (process.env['HIVE_NETNS'] ?? '') !== ''

/** `listen` is given the path to listen on, and answers what it ends by. Rejects with HiveError 'conflict' for a port that is taken. */
export async function outside(wanted: number, listen: (path: string) => Promise<{ readonly ended: Promise<void> }>, signal: AbortSignal) {
  const folder = mkdtempSync(join(tmpdir(), 'hivecoord-port-'))
  const socket = join(folder, 'socket')
  const { ended } = await listen(socket)
  const self = isSea() ? [] : [...process.execArgv, process.argv[1] ?? '']
  const argv = [`--net=/proc/${process.ppid}/ns/net`, '--', process.execPath, ...self, 'zabbix-port', String(wanted), socket]
  const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, HIVE_NETNS: '' } })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  signal.addEventListener('abort', () => child.kill(), { once: true })
  const clean = (): void => rmSync(folder, { recursive: true, force: true })
  const port = await new Promise<number>((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(Number(text)))
    child.once('error', (cause) => reject(new HiveError('command-failed', 'nsenter could not be started', { cause })))
    child.once('exit', () =>
      reject(new HiveError('conflict', `port ${wanted} of this machine could not be opened: ${said.trim()}`, { hint: '--port 0 takes any that is free' })),
    )
  }).catch((error: unknown) => {
    clean()
    throw error
  })
  return { port, ended: Promise.race([ended, gone]).finally(clean) }
}

/** The half of it that listens where browsers are: ends with its input, so with whoever started it. */
export async function relay(wanted: number, path: string): Promise<void> {
  const server = createServer((incoming) => {
    const onward = createConnection(path)
    incoming.pipe(onward).pipe(incoming)
    incoming.on('error', () => onward.destroy())
    onward.on('error', () => incoming.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wanted, '127.0.0.1', resolve)
  })
  const address = server.address()
  process.stdout.write(`${address === null || typeof address === 'string' ? 0 : address.port}\n`)
  await new Promise<void>((resolve) => process.stdin.resume().once('end', resolve).once('close', resolve))
  process.exit(0)
}
