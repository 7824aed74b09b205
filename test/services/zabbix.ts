/** A real Zabbix of 6.0 or 7.0 with a database of its own, on free ports of 127.0.0.1. Its database speaks through a socket in its folder only. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Child, nobody, startChild } from './child.ts'
import { freePort } from './free-port.ts'
import { databaseOptions, databaseServer, ensureZabbixRoot, librariesOf, type ZabbixVersion } from './zabbix-root.ts'

export type { ZabbixVersion } from './zabbix-root.ts'

const startDeadline = 90_000

export interface ZabbixOptions {
  readonly version: ZabbixVersion
  readonly signal?: AbortSignal
  /** Paths of PEM files; with them the server takes certificates on its port, beside PSK and no encryption. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string }
}

export interface Zabbix {
  readonly version: ZabbixVersion
  /** http://127.0.0.1:PORT/api_jsonrpc.php */
  readonly apiUrl: string
  /** http://127.0.0.1:PORT/ */
  readonly webUrl: string
  /** Where the server takes values, on 127.0.0.1. */
  readonly serverPort: number
  readonly adminUser: 'Admin'
  /** What a new Zabbix has. */
  readonly adminPassword: 'zabbix'
  /** A session's token. Default: Admin's with the first password. */
  readonly login: (user?: string, password?: string) => Promise<string>
  /** Calls the API with a session of Admin's, whose password has to be the first one still, or with the token given. Throws with the API's message. */
  readonly call: <T = unknown>(method: string, params: unknown, token?: string) => Promise<T>
  /** The server is away, web UI and database stay; and comes back. Its port remains the same. */
  readonly stopServer: () => Promise<void>
  readonly startServer: () => Promise<void>
  /** One query of its database; lines, columns separated by |. */
  readonly sql: (query: string) => Promise<string>
  /** What the server has logged. */
  readonly log: () => string
  readonly stop: () => Promise<void>
}

/** Starts it: one to three seconds once the cache has it. Throws with its output where it doesn't start. */
export async function startZabbix({ version, signal = AbortSignal.timeout(600_000), tls }: ZabbixOptions): Promise<Zabbix> {
  const root = await ensureZabbixRoot(version, signal)
  const env = librariesOf(root)
  const folder = mkdtempSync(join(tmpdir(), 'hive-zabbix-'))
  chmodSync(folder, 0o777)
  const children: Child[] = []
  const [serverPort, webPort] = [await freePort(), await freePort()]
  const isRoot = process.getuid?.() === 0
  await promisify(execFile)('tar', ['-C', folder, '--no-same-owner', '-xf', join(root, 'database.tar')])
  if (isRoot) await promisify(execFile)('chown', ['-R', `${nobody.uid}:${nobody.gid}`, join(folder, 'seed')])
  const start = (name: string, argv: readonly [string, ...string[]], more: { env?: Record<string, string>; endsAt?: NodeJS.Signals } = {}): Child => {
    const child = startChild(argv, { user: nobody, cwd: folder, log: join(folder, `${name}.log`), ...more, env: { ...env, ...more.env } })
    children.push(child)
    return child
  }
  const stop = async (): Promise<void> => {
    const [database, ...rest] = children
    await Promise.all(rest.map((child) => child.stop()))
    await database?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const postgres = start('postgres', [databaseServer(root), '-D', join(folder, 'seed'), ...databaseOptions(folder)], { endsAt: 'SIGINT' })
    const sql = async (query: string): Promise<string> => {
      const psql = join(dirname(databaseServer(root)), 'psql')
      const { stdout } = await promisify(execFile)(psql, ['-h', folder, '-U', 'zabbix', '-At', '-c', query, 'zabbix'], {
        env: { PATH: '/usr/bin:/bin', ...env },
      })
      return stdout.trimEnd()
    }
    await until('PostgreSQL', [postgres], async () => (await sql('select 1')) === '1')

    writeFileSync(join(folder, 'server.conf'), serverSettings({ version, root, folder, port: serverPort, tls }))
    mkdirSync(join(folder, 'scripts'))
    const serverArgv = [join(root, 'usr/sbin/zabbix_server'), '-f', '-c', join(folder, 'server.conf')] as const
    let server = start('server', serverArgv)
    const php = start('php', [join(root, 'usr/bin/php8.2'), ...phpOptions(root, folder), '-S', `127.0.0.1:${webPort}`, '-t', join(root, 'usr/share/zabbix')], {
      env: { DB_SERVER: folder, ZBX_PORT: String(serverPort) },
    })
    const webUrl = `http://127.0.0.1:${webPort}/`
    const apiUrl = `${webUrl}api_jsonrpc.php`
    const rpc = async (method: string, params: unknown, token?: string): Promise<unknown> => {
      const inBody = version === '6.0' && token !== undefined ? { auth: token } : {}
      const inHeader: Record<string, string> = version !== '6.0' && token !== undefined ? { authorization: `Bearer ${token}` } : {}
      const answer = await fetch(apiUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json-rpc', ...inHeader },
        body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1, ...inBody }),
      })
      const { result, error } = (await answer.json()) as { result?: unknown; error?: { message: string; data: string } }
      if (error !== undefined) throw new Error(`${method}: ${error.message} ${error.data}`)
      return result
    }
    await until('web UI', [php, postgres], async () => typeof (await rpc('apiinfo.version', {})) === 'string')
    const serverIsUp = (): Promise<void> => until('Zabbix server', [server, postgres], () => answers(serverPort))
    await serverIsUp()

    const login = async (user = 'Admin', password = 'zabbix'): Promise<string> => String(await rpc('user.login', { username: user, password }))
    let session: Promise<string> | undefined
    return {
      version,
      apiUrl,
      webUrl,
      serverPort,
      adminUser: 'Admin',
      adminPassword: 'zabbix',
      login,
      call: async <T>(method: string, params: unknown, token?: string): Promise<T> => {
        session ??= token === undefined ? login() : undefined
        return (await rpc(method, params, token ?? (await session))) as T
      },
      stopServer: () => server.stop(),
      startServer: async () => {
        server = start('server', serverArgv)
        await serverIsUp()
      },
      sql,
      log: () => readFileSync(join(folder, 'server.out'), 'utf8'),
      stop,
    }
  } catch (error) {
    const logs = readdirSync(folder)
      .filter((name) => /\.(?:log|out)$/.test(name))
      .map((name) => `${name}: ${readFileSync(join(folder, name), 'utf8').slice(-1000)}`)
    await stop()
    throw new Error(`Zabbix ${version} does not start: ${logs.join('\n')}`, { cause: error })
  }
}

/** Tries again until it is so. Throws at once where one of `children` has ended. */
async function until(what: string, children: readonly Child[], condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + startDeadline
  for (;;) {
    for (const child of children) child.assertAlive()
    if (await condition().catch(() => false)) return
    if (performance.now() > end) throw new Error(`${what} does not answer within ${startDeadline / 1000} s`)
    await pause(100)
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

interface ServerSettings {
  readonly version: ZabbixVersion
  readonly root: string
  readonly folder: string
  readonly port: number
  readonly tls: ZabbixOptions['tls']
}

/** Few processes, and changes are seen within a second: what a test waits for most is the server's cache of hosts. */
function serverSettings({ version, root, folder, port, tls }: ServerSettings): string {
  const few = ['StartPollers', 'StartPollersUnreachable', 'StartHTTPPollers', 'StartPingers', 'StartLLDProcessors', 'StartAlerters']
  const all: Readonly<Record<string, string | number>> = {
    ListenIP: '127.0.0.1',
    ListenPort: port,
    DBHost: folder,
    DBName: 'zabbix',
    DBUser: 'zabbix',
    AllowRoot: 1,
    LogType: 'file',
    LogFile: join(folder, 'server.out'),
    PidFile: join(folder, 'server.pid'),
    SocketDir: folder,
    TmpDir: folder,
    CacheUpdateFrequency: 1,
    UnavailableDelay: 5,
    UnreachableDelay: 1,
    UnreachablePeriod: 5,
    FpingLocation: join(root, 'usr/bin/fping'),
    AlertScriptsPath: join(folder, 'scripts'),
    ExternalScripts: join(folder, 'scripts'),
    StartTrappers: 5,
    StartPreprocessors: 2,
    StartDBSyncers: 2,
    ...Object.fromEntries(few.map((name) => [name, 1])),
    ...(version === '6.0' ? { StartDiscoverers: 0 } : {}),
    ...(tls === undefined ? {} : { TLSCAFile: tls.ca, TLSCertFile: tls.certificate, TLSKeyFile: tls.key }),
  }
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

function phpOptions(root: string, folder: string): readonly string[] {
  const modules = join(root, 'usr/lib/php/20220829')
  const available = new Set(readdirSync(modules))
  const wanted = [
    'ctype',
    'dom',
    'fileinfo',
    'gettext',
    'sockets',
    'tokenizer',
    'xml',
    'xmlreader',
    'xmlwriter',
    'simplexml',
    'mbstring',
    'gd',
    'bcmath',
    'pdo',
    'pgsql',
  ]
  const values = {
    extension_dir: modules,
    ...{ memory_limit: '256M', post_max_size: '32M', max_execution_time: '300', max_input_time: '300', 'date.timezone': 'UTC' },
    ...{ display_errors: '0', log_errors: '1', error_log: join(folder, 'php-errors.log'), 'session.save_path': folder },
    ...{ zend_extension: 'opcache', 'opcache.enable_cli': '1' },
  }
  return [
    '-n',
    ...Object.entries(values).flatMap(([key, value]) => ['-d', `${key}=${value}`]),
    ...wanted.filter((name) => available.has(`${name}.so`)).flatMap((name) => ['-d', `extension=${name}`]),
  ]
}
