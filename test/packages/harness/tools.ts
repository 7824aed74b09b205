/** Commands and the tools that tests of packages need, installed where they are missing. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter } from 'node:path'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Settings {
  readonly cwd?: string
  /** The whole environment. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Runs to the end and answers its exit code; rejects where it can't be started. Five minutes at most. */
export function outcomeOf(argv: readonly [string, ...string[]], { cwd, env = process.env }: Settings = {}): Promise<Outcome> {
  const [file, ...args] = argv
  return new Promise((resolve, reject) => {
    execFile(file, args, { cwd, env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

/** Its output. Rejects with what it said where it fails. */
export async function run(argv: readonly [string, ...string[]], settings: Settings = {}): Promise<string> {
  const { code, out, err } = await outcomeOf(argv, settings)
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${out}\n${err}`)
  return out
}

/** Tool → Debian package. */
const tools: Readonly<Record<string, string>> = { rpmbuild: 'rpm', rpmlint: 'rpmlint', busybox: 'busybox-static' }

export async function ensureTools(): Promise<void> {
  const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']
  const missing = Object.entries(tools).filter(([tool]) => !folders.some((folder) => existsSync(`${folder}/${tool}`)))
  if (missing.length === 0) return
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run(['apt-get', 'update', '-qq'], { env })
  await run(['apt-get', 'install', '-qq', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing.map(([, name]) => name)], { env })
}

/** As a person's shell outside the checkout has it: nothing of the checkout's tools, and not its place. */
export function outsideEnvironment(home: string): Record<string, string> {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return { PATH: path.join(delimiter), HOME: home, LC_ALL: 'C.UTF-8' }
}
