/** A site on real hosts of this machine, driven as its operator would: through the command line. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { leaderOf } from '../../../coordinator/providers/nspawn/machine.ts'
import { hostFolder, stageFolderIn } from '../../../coordinator/providers/nspawn/stage-folder.ts'
import { buildCli } from '../../../packaging/build-cli.mjs'
import type { FakeDrbd } from '../../fake-drbd/lab/start.ts'

const checkout = new URL('../../..', import.meta.url).pathname
/** What packaging/hivecoord.mjs hands over to, without its look at the sources before each command. */
const hivecoord = [process.execPath, await buildCli()] as const
const environment = { ...process.env, NODE_COMPILE_CACHE: join(checkout, 'build/compile-cache'), HIVE_CHECKOUT: checkout }

const rootsPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface CommandOutcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly events: readonly HiveEvent[]
  /** Errors told after the events. */
  readonly errors: readonly { readonly code: string; readonly message: string; readonly hint?: string; readonly host?: string }[]
  /** The result document, undefined where there was none. */
  readonly result: unknown
  /** Standard output as it came. */
  readonly out: string
  readonly milliseconds: number
}

export interface RunningCommand {
  readonly pid: number
  readonly done: Promise<CommandOutcome>
  /** Standard output so far. */
  out(): string
  kill(signal: NodeJS.Signals): void
}

export interface CommandSettings {
  /** Called with each event as it comes. */
  readonly onEvent?: (event: HiveEvent) => void
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds until the command is killed and the test fails. Default 300 000. */
  readonly deadline?: number
}

export interface LabSiteOptions {
  /** The folder of base images. */
  readonly images: string
  readonly stage?: string
  readonly env?: Readonly<Record<string, string>>
  /** Mirrored volumes are DRBD's, this fake's, instead of shared folders. */
  readonly drbd?: Pick<FakeDrbd, 'variables' | 'begin'>
  /** What the hosts have bound in besides, as `hive_nspawn_binds` says it. */
  readonly binds?: readonly string[]
  /** Its hosts trust the authorities of the web too, as a user's do. */
  readonly publicAuthorities?: boolean
  /** Its machines are the test's: nothing of them is destroyed with the site. */
  readonly prepared?: boolean
}

/** `hive_nspawn_binds` as a line of YAML. */
const bindsVariable = (binds: readonly string[]): string => `hive_nspawn_binds: ${JSON.stringify(binds)}\n`

/** Sites that stand: taken away also where the test is told to end, or ends without taking them away itself. */
const standing = new Set<LabSite>()
process.on('exit', () => {
  for (const site of standing) site.abandon()
})
process.once('SIGTERM', () => process.exit(143))
process.once('SIGINT', () => process.exit(130))

export class LabSite {
  readonly folder: string
  readonly stage: string
  readonly #env: Readonly<Record<string, string>>
  readonly #prepared: boolean
  readonly #running = new Set<RunningCommand>()

  /** Copies the site, so that nothing is written into the checkout. */
  constructor(source: string, options: LabSiteOptions) {
    this.folder = mkdtempSync(join(tmpdir(), 'hive-lab-'))
    this.stage = options.stage ?? 'private'
    this.#prepared = options.prepared ?? false
    this.#env = { HIVE_IMAGES: options.images, ...options.env }
    cpSync(source, this.folder, { recursive: true })
    rmSync(join(this.folder, '.hive'), { recursive: true, force: true })
    const nspawn = this.stage === 'private' && !this.#prepared
    const binds = [...(options.binds ?? []), ...(nspawn && options.publicAuthorities !== true ? [this.#noAuthorities()] : [])]
    if (binds.length > 0) this.#addVariables('all', bindsVariable(binds))
    if (options.drbd !== undefined) {
      this.#addVariables('hives', options.drbd.variables(binds))
      options.drbd.begin(this.folder)
    }
    standing.add(this)
  }

  #addVariables(group: string, yaml: string): void {
    const path = join(this.folder, 'inventory/group_vars', `${group}.yml`)
    mkdirSync(dirname(path), { recursive: true })
    appendFileSync(path, yaml)
  }

  /** update-ca-certificates starts four programs for each authority of the web that this file names, on each host: nothing here asks one. */
  #noAuthorities(): string {
    const path = join(this.folder, 'ca-certificates.conf')
    writeFileSync(path, '')
    return `${path}:/etc/ca-certificates.conf`
  }

  get contextDir(): string {
    return join(this.folder, '.hive', this.stage)
  }

  /** Starts a command and does not wait for it. */
  start(args: readonly string[], settings: CommandSettings = {}): RunningCommand {
    const started = performance.now()
    const [node, entry] = hivecoord
    const child = spawn(node, [entry, '--root', this.folder, '--stage', this.stage, '--output', 'json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, ...this.#env, ...settings.env },
    })
    const events: HiveEvent[] = []
    const errors: CommandOutcome['errors'][number][] = []
    let out = ''
    const stray: string[] = []
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    createInterface(child.stderr).on('line', (line) => {
      const parsed = parseLine(line)
      if (parsed === undefined) stray.push(line)
      else if (parsed.code === 'error') errors.push(parsed.error)
      else {
        events.push(parsed)
        settings.onEvent?.(parsed)
      }
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), settings.deadline ?? 300_000)
    const done = new Promise<CommandOutcome>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        clearTimeout(timer)
        if (stray.length > 0 && code !== 0) errors.push({ code: 'stray', message: stray.join('\n') })
        resolve({ code, signal, events, errors, result: parseJson(out), out, milliseconds: performance.now() - started })
      })
    })
    const running = { pid: child.pid ?? -1, done, out: () => out, kill: (signal: NodeJS.Signals) => void child.kill(signal) }
    this.#running.add(running)
    void done.finally(() => this.#running.delete(running)).catch(() => undefined)
    return running
  }

  run(args: readonly string[], settings: CommandSettings = {}): Promise<CommandOutcome> {
    return this.start(args, settings).done
  }

  /** As `run`, and fails where its exit code is not 0: with what the command said, or with its last events where it was killed. */
  async succeed(args: readonly string[], settings: CommandSettings = {}): Promise<CommandOutcome> {
    const outcome = await this.run(args, settings)
    if (outcome.code !== 0) {
      const said = outcome.errors.map((error) => `${error.host ?? ''} ${error.message} ${error.hint ?? ''} ${JSON.stringify(error)}`)
      const last = outcome.signal === null ? [] : outcome.events.slice(-10).map((event) => JSON.stringify(event))
      throw new Error([`hivecoord ${args.join(' ')} ended with ${outcome.code ?? outcome.signal}:`, ...said, ...last].join('\n'))
    }
    return outcome
  }

  /** A command whose output is not one document: what it wrote to standard output, and its exit code. */
  text(args: readonly string[], deadline = 60_000): Promise<{ readonly code: number | null; readonly out: string }> {
    const argv = [...hivecoord, '--root', this.folder, '--stage', this.stage, '--output', 'json', ...args]
    return capture(argv, deadline, { env: { ...environment, ...this.#env }, withErrors: false })
  }

  /**
   * A command on a terminal of its own, 33 rows of 101 columns: what it showed, and the exit code. Each of `talk` is what its operator waits to see,
   * since the last, and types then. `script` of util-linux makes the terminal.
   */
  async onTerminal(
    args: readonly string[],
    talk: readonly (readonly [RegExp, string])[],
    deadline = 60_000,
  ): Promise<{ readonly code: number | null; readonly out: string }> {
    const command = [...hivecoord, '--root', this.folder, '--stage', this.stage, ...args].map((word) => `'${word}'`).join(' ')
    const argv = ['-qec', `stty rows 33 cols 101 && exec ${command}`, '/dev/null']
    const child = spawn('script', argv, { stdio: ['pipe', 'pipe', 'inherit'], timeout: deadline, killSignal: 'SIGKILL', env: { ...environment, ...this.#env } })
    const ended = once(child, 'close')
    const left = [...talk]
    let out = ''
    let read = 0
    for await (const text of child.stdout.setEncoding('utf8')) {
      out += text
      const [awaited, typed] = left[0] ?? []
      if (awaited === undefined || typed === undefined || !awaited.test(out.slice(read))) continue
      read = out.length
      left.shift()
      child.stdin.write(typed)
    }
    const [code] = (await ended) as [number | null]
    return { code, out }
  }

  /** Runs a program inside the stage's network; answers its output and exit code. `deadline` in milliseconds. */
  inNetwork(argv: readonly string[], deadline = 30_000): Promise<{ readonly code: number | null; readonly out: string }> {
    const namespace = readFileSync(join(this.contextDir, 'netns'), 'utf8').trim()
    return capture(['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv], deadline)
  }

  /** A shell command of root's on a host, at its console: also where no cable leads to it. Throws unless it ends with 0. */
  async onHost(host: string, command: string, deadline = 60_000): Promise<string> {
    const { code, out } = await capture(this.#atConsole(host, command, deadline), deadline + 5_000)
    if (code !== 0) throw new Error(`${host}: ${command}: exit code ${code}: ${out}`)
    return out
  }

  /** A log-in by ssh costs this machine more than most of what is asked; hosts that are not its own machines have nothing else. */
  #atConsole(host: string, command: string, deadline: number): readonly string[] {
    const network = readFileSync(join(this.contextDir, 'netns'), 'utf8').trim()
    const machine = hostFolder(stageFolderIn(network), host.split('.')[0] ?? host)
    if (!existsSync(machine.folder)) return ['nsenter', `--net=/run/netns/${network}`, '--', 'ssh', '-F', join(this.contextDir, 'ssh_config'), host, command]
    const leader = leaderOf(machine)
    if (leader === undefined) throw new Error(`${host} is off: ${command}`)
    const login = ['env', '-i', 'HOME=/root', 'USER=root', 'LOGNAME=root', 'SHELL=/bin/bash', `PATH=${rootsPath}`]
    // What it started goes with it: it would hold the output open.
    return ['nsenter', `--target=${leader}`, '--all', '--', ...login, 'timeout', '--signal=KILL', String(deadline / 1000), 'bash', '-c', `cd; ${command}`]
  }

  /** Changes a file of the site's copy. Throws where that changes nothing. */
  edit(file: string, change: (text: string) => string): void {
    const path = join(this.folder, file)
    const before = readFileSync(path, 'utf8')
    const after = change(before)
    if (after === before) throw new Error(`${file} is as it was`)
    writeFileSync(path, after)
  }

  /** Takes everything away: commands that still run, hosts, namespaces, the copy. */
  async destroy(): Promise<void> {
    standing.delete(this)
    for (const { kill } of this.#running) kill('SIGKILL')
    if (existsSync(this.contextDir) && !this.#prepared) await this.succeed(['destroy', '--yes'])
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** As `destroy`, by a process of its own that outlives this one. */
  abandon(): void {
    standing.delete(this)
    for (const { kill } of this.#running) kill('SIGKILL')
    if (this.#prepared) {
      rmSync(this.folder, { recursive: true, force: true })
      return
    }
    // A command that was killed holds the stage for a moment. What can't be destroyed keeps its folder, by which it can be later.
    const sweep = 'folder=$1; shift; for attempt in 1 2 3 4 5; do "$@" && exec rm -rf -- "$folder"; sleep 3; done'
    const destroy = [...hivecoord, '--root', this.folder, '--stage', this.stage, 'destroy', '--yes']
    spawn('sh', ['-c', sweep, 'sweep', this.folder, ...destroy], { detached: true, stdio: 'ignore', env: { ...environment, ...this.#env }, cwd: '/' }).unref()
  }

  /** A second folder of the same site and stage with its own context: somebody else's admin box. */
  copyOfContext(): string {
    const copy = join(mkdtempSync(join(tmpdir(), 'hive-lab-context-')), 'context')
    mkdirSync(copy)
    cpSync(this.contextDir, copy, { recursive: true })
    return copy
  }
}

/** undefined where a command's output is not a document: that of an inner command. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Line = HiveEvent | { readonly code: 'error'; readonly error: CommandOutcome['errors'][number] }

function parseLine(line: string): Line | undefined {
  try {
    return JSON.parse(line) as Line
  } catch {
    return undefined
  }
}

export interface CaptureSettings {
  readonly env?: NodeJS.ProcessEnv
  /** Whether standard error is part of the output. Default true. */
  readonly withErrors?: boolean
}

/** Output (both streams) and exit code of a program; it is killed at the deadline, milliseconds. */
export function capture(
  argv: readonly string[],
  deadline: number,
  { env = process.env, withErrors = true }: CaptureSettings = {},
): Promise<{ readonly code: number | null; readonly out: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: deadline, killSignal: 'SIGKILL', env })
    let out = ''
    const take = (text: string): void => {
      out += text
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', withErrors ? take : () => undefined)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out }))
  })
}
