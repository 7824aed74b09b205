/** What Ansible takes for the same content on the same hosts, over ssh from inside the stage's network, as its manual advises for speed. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contentOf, image, stopGraceSeconds, volumeDriver } from './content.ts'
import type { BenchStage } from './stage.ts'

const collection = '/usr/lib/python3/dist-packages/ansible_collections/community/docker'
const playbook = join(import.meta.dirname, 'playbook.yml')
/** Milliseconds for one run. */
const deadline = 1_800_000

/** Milliseconds, of one run each. Nothing waits for convergence. */
export interface AnsibleFigures {
  readonly version: string
  readonly first: number
  readonly unchanged: number
  readonly changed: number
}

/** On an empty stage whose hosts have the image. Installs Debian's ansible where it is missing. */
export async function measureAnsible(stage: BenchStage, services: number): Promise<AnsibleFigures> {
  ensureAnsible()
  // Short: the path of a control socket has at most 108 characters.
  const folder = mkdtempSync(join(tmpdir(), 'ab-'))
  try {
    const { hosts } = (await stage.command('inventory')).result as { readonly hosts: readonly { readonly name: string; readonly address: string }[] }
    writeSettings(folder, stage)
    const revisions = new Map<string, number>()
    const run = (): Promise<number> => runPlaybook(stage, folder, { services, revisions, hosts })
    const first = await run()
    const unchanged = await run()
    revisions.set(contentOf(services).services[0]?.name ?? '', 2)
    return { version: versionOf(), first, unchanged, changed: await run() }
  } finally {
    await closeConnections(stage, folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

function ensureAnsible(): void {
  if (existsSync(collection) && existsSync('/usr/bin/ansible-playbook')) return
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', 'ansible'] as const
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  try {
    execFileSync(install[0], install.slice(1), { stdio: 'ignore', env })
  } catch {
    // Most often the package lists are absent or older than the archive.
    execFileSync('apt-get', ['update'], { stdio: 'ignore', env })
    execFileSync(install[0], install.slice(1), { stdio: 'ignore', env })
  }
}

const versionOf = (): string => /core ([\d.]+)/.exec(execFileSync('/usr/bin/ansible-playbook', ['--version'], { encoding: 'utf8' }))?.[1] ?? '?'

const sockets = (folder: string): string => join(folder, 'cp')

function writeSettings(folder: string, stage: BenchStage): void {
  mkdirSync(sockets(folder))
  writeFileSync(
    join(folder, 'ansible.cfg'),
    `[defaults]
inventory = ${join(folder, 'hosts.json')}
local_tmp = ${join(folder, 'tmp')}
forks = 10
gathering = explicit
retry_files_enabled = false
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = true
ssh_args = -F ${join(stage.site.contextDir, 'ssh_config')} -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = ${sockets(folder)}
`,
  )
  const named = (names: readonly string[]) => ({ hosts: Object.fromEntries(names.map((name) => [name, {}])) })
  writeFileSync(join(folder, 'hosts.json'), JSON.stringify({ all: { children: { manager: named([stage.manager]), hives: named(stage.hives) } } }))
}

interface Playbook {
  readonly services: number
  readonly revisions: ReadonlyMap<string, number>
  readonly hosts: readonly { readonly name: string; readonly address: string }[]
}

async function runPlaybook(stage: BenchStage, folder: string, { services, revisions, hosts }: Playbook): Promise<number> {
  const content = contentOf(services, revisions)
  const variables = {
    content: {
      ...content,
      services: content.services.map((service) => ({ ...service, volumes: service.volumes.map((mount) => ({ ...mount, type: 'volume' })) })),
    },
    volume: volumeDriver,
    image: `${stage.repository}:5000/${image}`,
    stop_grace_seconds: stopGraceSeconds,
    addresses: Object.fromEntries(hosts.map(({ name, address }) => [name, address])),
    repository: stage.repository,
  }
  writeFileSync(join(folder, 'variables.json'), JSON.stringify(variables))
  const started = performance.now()
  const argv = ['env', `ANSIBLE_CONFIG=${join(folder, 'ansible.cfg')}`, '/usr/bin/ansible-playbook', '-e', `@${join(folder, 'variables.json')}`, playbook]
  const { code, out } = await stage.site.inNetwork(argv, deadline)
  if (code !== 0) throw new Error(`ansible-playbook ended with ${code}:\n${out.slice(-4000)}`)
  return performance.now() - started
}

/** Kept connections would outlive the bench by their minute. */
async function closeConnections(stage: BenchStage, folder: string): Promise<void> {
  const folderOfSockets = sockets(folder)
  const names = existsSync(folderOfSockets) ? readdirSync(folderOfSockets) : []
  await Promise.allSettled(names.map((name) => stage.site.inNetwork(['ssh', '-o', `ControlPath=${join(folderOfSockets, name)}`, '-O', 'exit', 'any'], 5_000)))
}
