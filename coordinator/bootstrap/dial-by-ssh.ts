/**
 * Agents behind ssh: where only port 22 of a host can be reached, each connection to its agent goes through an `ssh -W` of its own.
 *
 * - gRPC dials a socket of this process; whoever connects there gets a new ssh. So a connection that breaks is made anew by the
 *   next call, and no tunnel has a state that somebody must keep.
 * - ssh ends with this process, however that ends: the kernel tells it (setpriv --pdeathsig). Where setpriv cannot (util-linux before
 *   2.33), its pipes are closed, which it notices when the agent pings, within 30 s; a host that is gone ends it by ServerAlive, within 15 s.
 * - A log-in that fails is tried with the other users and ports that the host may have by now. What was sent meanwhile is sent again.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { HiveError } from '../../proto/errors.ts'
import type { AgentAddress, Dialer, Way } from '../client/dialer.ts'
import { run } from '../providers/command.ts'
import type { SshTarget } from '../providers/provider.ts'
import { logIns } from './log-ins.ts'
import { sshArguments, whyNoLogin } from './ssh.ts'

export interface SshDialerOptions {
  readonly contextDir: string
  /** How ssh reaches the host now. Throws HiveError where it cannot. */
  readonly target: (host: string) => SshTarget
  /** Other users and ports that the log-in may have, after the target's own. */
  readonly others: (host: string) => { readonly user: string; readonly port: number }
}

/** Seconds for ssh to connect; less than `patience`, so that ssh can say why it did not. */
const connectTimeout = 8
/** Milliseconds: a log-in over the internet takes some hundred. */
const patience = 10_000
/** Bytes; sun_path of Linux has 108, one of them for the zero at the end. */
const longestSocketPath = 107

export function sshDialer(options: SshDialerOptions): Dialer {
  let folder: string | undefined
  let prefix: Promise<readonly string[]> | undefined
  let made = 0
  return {
    patience,
    way: async (to) => {
      folder ??= socketFolder()
      made += 1
      prefix ??= endingWithUs()
      return openWay(to, join(folder, String(made)), { ...options, prefix: await prefix })
    },
  }
}

type Ssh = ChildProcessByStdio<Writable, Readable, Readable>

/** What is put before a command so that it ends when this process does. */
const endingWithUs = async (): Promise<readonly string[]> => {
  const prefix = ['setpriv', '--pdeathsig', 'TERM'] as const
  return run([...prefix, 'true']).then(
    () => prefix,
    () => [],
  )
}

interface WayOptions extends SshDialerOptions {
  readonly prefix: readonly string[]
}

async function openWay(to: AgentAddress, path: string, options: WayOptions): Promise<Way> {
  let why: HiveError | undefined
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
    void new Connection(to, socket, options).serve(
      () => logIns(options.target(to.host), options.others(to.host)),
      (outcome) => {
        why = outcome
      },
    )
  })
  await listening(server, path)
  // A way that is open does not keep the process.
  server.unref()
  return {
    target: `unix:${path}`,
    whyClosed: () => why,
    close: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** One connection: an ssh, and the next one where that does not get through. */
class Connection {
  readonly #to: AgentAddress
  readonly #socket: Socket
  readonly #options: WayOptions
  #ssh: Ssh | undefined
  /** What was sent before the agent said anything; undefined once it did. */
  #early: Buffer[] | undefined = []

  constructor(to: AgentAddress, socket: Socket, options: WayOptions) {
    this.#to = to
    this.#socket = socket
    this.#options = options
    socket.on('data', (piece: Buffer) => {
      this.#early?.push(piece)
      if (this.#ssh?.stdin.write(piece) !== false) return
      socket.pause()
      this.#ssh.stdin.once('drain', () => socket.resume())
    })
    socket.once('end', () => this.#ssh?.stdin.end())
    socket.once('close', () => this.#ssh?.kill())
  }

  /** To the connection's end. `outcome` is told why it did not get through, or undefined when the agent answers. Never rejects. */
  async serve(targets: () => readonly SshTarget[], outcome: (why: HiveError | undefined) => void): Promise<void> {
    const { host } = this.#to
    try {
      let refusal: HiveError | undefined
      const silent = new Set<number>()
      for (const target of targets()) {
        if (silent.has(target.port)) continue
        const error = await this.#through(target, () => outcome(undefined))
        // By its own end, or because nobody wants it any more.
        if (error === undefined || this.#socket.destroyed) return this.#socket.destroySoon()
        // Where no sshd answers, another user has no better luck.
        if (error.code === 'unreachable') silent.add(target.port)
        // A refusal says more than a port where nobody listens.
        if (refusal === undefined || refusal.code === 'unreachable') refusal = error
      }
      throw refusal
    } catch (error) {
      outcome(error instanceof HiveError ? error : new HiveError('unreachable', `${host} cannot be reached by ssh`, { host, cause: error }))
      this.#socket.destroy()
    }
  }

  /** Resolves when ssh ended: undefined where the agent had answered, else why not. Rejects where ssh cannot be started. */
  #through(target: SshTarget, answered: () => void): Promise<HiveError | undefined> {
    const ssh = start(target, this.#to, this.#options)
    this.#ssh = ssh
    let said = ''
    ssh.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096)
    })
    ssh.stdin.on('error', () => undefined)
    ssh.stdout.once('data', (first: Buffer) => {
      this.#early = undefined
      answered()
      this.#socket.write(first)
      ssh.stdout.pipe(this.#socket)
    })
    for (const piece of this.#early ?? []) ssh.stdin.write(piece)
    if (this.#socket.readableEnded) ssh.stdin.end()
    // The one before may have ended while it was waited for.
    this.#socket.resume()
    return new Promise((resolve, reject) => {
      ssh.once('error', (cause) =>
        reject(new HiveError('command-failed', 'ssh could not be started', { host: target.host, hint: 'install an OpenSSH client', cause })),
      )
      ssh.once('close', () => resolve(this.#early === undefined ? undefined : whyNoWay(target, this.#to, this.#options.contextDir, said)))
    })
  }
}

/** Away from the terminal's process group: Ctrl-C is for this process, which may still have to ask agents to stop. */
function start(target: SshTarget, { address, port }: AgentAddress, { contextDir, prefix }: WayOptions): Ssh {
  const agent = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  const own = { ConnectTimeout: connectTimeout, ServerAliveInterval: 5, ServerAliveCountMax: 3, ControlPath: 'none' }
  const options = Object.entries(own).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const [file = 'ssh', ...args] = [...prefix, 'ssh', ...options, '-W', agent, ...sshArguments(target, contextDir, false)]
  return spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
}

/** What ssh said, as a typed error. Exported for tests. */
export function whyNoWay(target: SshTarget, { host, address, port }: AgentAddress, contextDir: string, said: string): HiveError {
  if (/open failed|stdio forwarding failed/i.test(said)) {
    const prohibited = /administratively prohibited/i.test(said)
    return new HiveError(prohibited ? 'denied' : 'unreachable', `${host} answers ssh, but its agent at ${address}:${port} cannot be reached through it`, {
      host,
      hint: prohibited ? 'sshd there must allow TCP forwarding (AllowTcpForwarding)' : 'is hive-agent.service running there? build-infra puts it back',
      log: said.trim().split(/\r?\n/).slice(-8),
    })
  }
  return whyNoLogin(target, contextDir, said)
}

const folderPrefix = 'hive-ssh.'

/** A folder for sockets that only this user enters; removed when the process ends, or by a later one where it could not. */
function socketFolder(): string {
  const parent =
    [tmpdir(), '/tmp'].find((candidate) => Buffer.byteLength(join(candidate, `${folderPrefix}0000000000.XXXXXX/0000`)) <= longestSocketPath) ?? '/tmp'
  mkdirSync(parent, { recursive: true })
  sweep(parent)
  const folder = mkdtempSync(join(parent, `${folderPrefix}${process.pid}.`))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Folders of processes that were killed. */
function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(folderPrefix) ? Number(name.slice(folderPrefix.length).split('.')[0]) : Number.NaN
    if (!Number.isInteger(pid)) continue
    try {
      if (statSync(join(parent, name)).uid !== process.getuid?.()) continue
      process.kill(pid, 0)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(join(parent, name), { recursive: true, force: true })
    }
  }
}
