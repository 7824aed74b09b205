/** Names and records of one nspawn stage: what is where on this machine, derived from the site folder and the stage alone. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Host, Site } from '../../inventory/site.ts'
import { readTextIfPresent, writeFileAtomic } from '../../run/atomic-file.ts'

export const stateRoot = '/var/lib/hive-nspawn'

/** What identifies a stage on this machine; a Site is one. */
export type StageIdentity = Pick<Site, 'name' | 'stage' | 'root' | 'contextDir'>

export interface StageFolder {
  /** Two sites of one name in different folders, and two stages of one site, differ. */
  readonly id: string
  readonly folder: string
  readonly lockFile: string
  /** Network namespace that holds the bridge; the coordinator works in it. */
  readonly switchNamespace: string
  /** Shared by all hosts of the stage: the stand-in for mirrored volumes. */
  readonly mirrored: string
}

const plain = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
const digest = (text: string, length: number): string => createHash('sha256').update(text).digest('hex').slice(0, length)

export function stageFolder(site: StageIdentity): StageFolder {
  const id = `${plain(site.name).slice(0, 12) || 'site'}-${site.stage.slice(0, 1)}-${digest(`${site.root}\n${site.stage}`, 6)}`
  return stageFolderOf(id)
}

const namespacePrefix = 'hive-'

/** By its id. */
function stageFolderOf(id: string): StageFolder {
  const folder = join(stateRoot, id)
  return { id, folder, lockFile: join(stateRoot, `${id}.lock`), switchNamespace: `${namespacePrefix}${id}`, mirrored: join(folder, 'mirrored') }
}

/** By the network namespace of its switch. */
export const stageFolderIn = (namespace: string): StageFolder => stageFolderOf(namespace.slice(namespacePrefix.length))

export interface HostFolder {
  readonly shortName: string
  readonly folder: string
  readonly upper: string
  readonly work: string
  readonly root: string
  readonly docker: string
  readonly consoleLog: string
  /** Name of the nspawn machine; unique on this machine, at most 64 characters. */
  readonly machine: string
  readonly namespace: string
  /** The host's end of the cable is eth0; this is the switch's end. Linux allows 15 characters. */
  readonly switchPort: string
}

export function hostFolder(stage: StageFolder, shortName: string): HostFolder {
  const folder = join(stage.folder, 'hosts', shortName)
  const inFolder = (name: string): string => join(folder, name)
  return {
    shortName,
    folder,
    upper: inFolder('upper'),
    work: inFolder('work'),
    root: inFolder('root'),
    docker: inFolder('docker'),
    consoleLog: inFolder('console.log'),
    machine: `${stage.id}-${shortName}`.slice(0, 64),
    namespace: `${stage.switchNamespace}-${shortName}`,
    switchPort: shortName.length <= 13 ? `p-${shortName}` : `p-${digest(shortName, 12)}`,
  }
}

/** What a host was made with. `complete` is set once all its files are in place. */
export interface HostRecord {
  readonly name: string
  readonly shortName: string
  readonly address: string
  readonly prefixLength: number
  readonly baseRoot: string
  readonly complete: boolean
}

const recordPath = (host: HostFolder): string => join(host.folder, 'host.json')

export const writeHostRecord = (host: HostFolder, record: HostRecord): void => writeFileAtomic(recordPath(host), `${JSON.stringify(record, null, 2)}\n`)

/** The record of a host, or undefined where it was never begun. */
export function readHostRecord(host: HostFolder): HostRecord | undefined {
  const text = readTextIfPresent(recordPath(host))
  return text === undefined ? undefined : (JSON.parse(text) as HostRecord)
}

/** Short names of all hosts with anything on this machine's disk, half-made ones too. */
export function hostsOnDisk(stage: StageFolder): readonly string[] {
  const folder = join(stage.folder, 'hosts')
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

export const recordOf = (host: Host, baseRoot: string, complete: boolean): HostRecord => ({
  name: host.name,
  shortName: host.shortName,
  address: host.address,
  prefixLength: host.prefixLength,
  baseRoot,
  complete,
})
