/** rsyslog of Debian's packages as a site's hosts run it, in a folder of the test and on loopback. */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { unpackedPackages } from '../support/unpacked-packages.ts'
import { type Child, startChild } from './child.ts'

const libraries = 'usr/lib/x86_64-linux-gnu'

export const rsyslogRoot = (signal: AbortSignal): Promise<string> =>
  unpackedPackages(
    {
      name: 'rsyslog',
      packages: ['rsyslog', 'rsyslog-relp', 'rsyslog-gnutls', 'librelp0', 'libestr0', 'libfastjson4', 'liblognorm5', 'logrotate', 'libpopt0'],
      useless: ['usr/share/doc', 'usr/share/man'],
    },
    signal,
  )

const idOf = (option: string): string => execFileSync('id', [option], { encoding: 'utf8' }).trim()
const ownUser = (): string => idOf('-un')
/** The group that the test's own user has, for files. */
export const ownGroup = (): string => idOf('-gn')

/** One host of the site: a folder in which all is that belongs elsewhere on a host. */
export class RsyslogHost {
  readonly folder: string
  readonly #root: string
  #child: Child | undefined

  constructor(root: string, folder: string) {
    this.#root = root
    this.folder = folder
    for (const name of ['log', 'state', 'pki', 'rules']) mkdirSync(join(folder, name), { recursive: true })
  }

  get configPath(): string {
    return join(this.folder, 'rsyslog.conf')
  }

  get rules(): string {
    return join(this.folder, 'rules')
  }

  get command(): readonly [string, ...string[]] {
    return [
      '/usr/bin/env',
      `LD_LIBRARY_PATH=${join(this.#root, libraries)}`,
      join(this.#root, 'usr/sbin/rsyslogd'),
      '-M',
      join(this.#root, libraries, 'rsyslog'),
    ]
  }

  /** Writes the configuration with this folder's paths. There is no journal here to read: what runs does without. */
  configure(config: string): void {
    const here = config
      .replaceAll('/var/lib/rsyslog/hive', join(this.folder, 'state'))
      .replaceAll('/etc/hive-agent/pki', join(this.folder, 'pki'))
      .replaceAll('/etc/rsyslog-services.d', this.rules)
      .replaceAll('/var/log/', `${join(this.folder, 'log')}/`)
    writeFileSync(join(this.folder, 'whole.conf'), here)
    writeFileSync(this.configPath, here.replace(/^module\(load="imjournal".*$/m, ''))
  }

  /** What rsyslog says of the whole configuration; throws where it refuses it. */
  check(): string {
    const [program, ...rest] = this.command
    return execFileSync(program, [...rest, '-N1', '-f', join(this.folder, 'whole.conf')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  start(): void {
    this.#child = startChild([...this.command, '-n', '-iNONE', '-f', this.configPath], { log: join(this.folder, 'output') })
  }

  /** Killed without a word, as a host that loses its power. */
  async kill(): Promise<void> {
    if (this.#child === undefined) return
    process.kill(this.#child.pid, 'SIGKILL')
    await this.#child.ended
    await this.#child.stop()
    this.#child = undefined
  }

  async stop(): Promise<void> {
    await this.#child?.stop()
    this.#child = undefined
  }

  hup(): void {
    if (this.#child !== undefined) process.kill(this.#child.pid, 'SIGHUP')
  }

  /** Runs logrotate with this text as on a host, where systemd passes the signal on. */
  rotate(text: string): void {
    const [user, group] = [ownUser(), ownGroup()]
    const here = text
      .replaceAll('/var/log/', `${join(this.folder, 'log')}/`)
      .replace(/systemctl kill .*/, `kill -HUP ${this.#child?.pid}`)
      .replace(/su root \S+/, `su ${user} ${group}`)
      .replace(/create 0640 root \S+/, `create 0640 ${user} ${group}`)
    const path = join(this.folder, 'logrotate.conf')
    writeFileSync(path, here, { mode: 0o644 })
    const program = join(this.#root, 'usr/sbin/logrotate')
    execFileSync(program, ['--force', '--state', join(this.folder, 'logrotate.state'), path], {
      env: { PATH: '/usr/bin:/bin', LD_LIBRARY_PATH: join(this.#root, libraries) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Lines of a file below /var/log. */
  lines(name: string): readonly string[] {
    const path = join(this.folder, 'log', name)
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  }

  get output(): string {
    return readFileSync(join(this.folder, 'output'), 'utf8')
  }
}

/** Sends datagrams, one after the other. */
export async function sendDatagrams(port: number, messages: readonly string[]): Promise<void> {
  const socket = createSocket('udp4')
  try {
    for (const message of messages)
      await new Promise<void>((resolve, reject) => socket.send(message, port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error))))
  } finally {
    socket.close()
  }
}

const local = 16
/** As docker's driver writes it: no host name, the time without a zone. Informational. */
export const dockerLine = (tag: string, text: string, facility = local): string => `<${facility * 8 + 6}>${stamp()} ${tag}[4711]: ${text}`

/** As a program in a host or container of its own sends it. */
export const hostLine = (host: string, tag: string, text: string, facility: number): string => `<${facility * 8 + 6}>${stamp()} ${host} ${tag}: ${text}`

function stamp(now = new Date()): string {
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][now.getMonth()]
  return `${month} ${String(now.getDate()).padStart(2)} ${now.toTimeString().slice(0, 8)}`
}
