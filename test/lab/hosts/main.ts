/**
 * Hosts without a site, to try things on: `up PREFIX COUNT`, `lose PREFIX HOST`, `down PREFIX`, `list`. A host that is lost is gone with its disks; `up`
 * puts a new one in its place. Made by the nspawn provider's own modules; addresses 10.88.0.5 and up, in a network of their own for each prefix. Prints JSON; progress goes to stderr.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { HiveEvent } from '../../../coordinator/events.ts'
import type { Host, Site } from '../../../coordinator/inventory/site.ts'
import { leaderOf } from '../../../coordinator/providers/nspawn/machine.ts'
import { nspawnProvider } from '../../../coordinator/providers/nspawn/provider.ts'
import { hostFolder, hostsOnDisk, readHostRecord, stageFolder, stateRoot } from '../../../coordinator/providers/nspawn/stage-folder.ts'
import { messageOf } from '../../../proto/errors.ts'

const contextRoot = '/tmp/hive-lab-hosts'
const emit = (event: HiveEvent): void => console.error('message' in event ? event.message : event.code)
const signal = new AbortController().signal
/** The provider keeps nothing. */
const state = { get: () => undefined, set: () => undefined }

/** As much of a site as the provider reads. */
function siteOf(prefix: string, count: number): Site {
  const host = (index: number): Partial<Host> => ({
    name: `${prefix}${index}.${prefix}`,
    shortName: `${prefix}${index}`,
    index,
    address: `10.88.0.${5 + index}`,
    prefixLength: 24,
    settings: { sshdPort: 22 } as Host['settings'],
  })
  const root = join(contextRoot, prefix)
  const hosts = Array.from({ length: count }, (_, index) => host(index))
  return { name: prefix, stage: 'private', root, contextDir: join(root, '.hive/private'), cidr: '10.88.0.0/24', hosts } as unknown as Site
}

const folderOf = (prefix: string): ReturnType<typeof stageFolder> => stageFolder(siteOf(prefix, 0))

function describe(prefix: string): unknown {
  const stage = folderOf(prefix)
  const hosts = hostsOnDisk(stage).map((shortName) => {
    const host = hostFolder(stage, shortName)
    return { name: shortName, address: readHostRecord(host)?.address, leader: leaderOf(host), console: host.consoleLog }
  })
  return { netns: stage.switchNamespace, identityFile: join(siteOf(prefix, 0).contextDir, 'id_rsa'), hosts }
}

const prefixes = (): readonly string[] => {
  try {
    return readdirSync(contextRoot).filter((prefix) => hostsOnDisk(folderOf(prefix)).length > 0)
  } catch {
    return []
  }
}

const [command, prefix = '', what = '1'] = process.argv.slice(2)
try {
  if (command === 'list') console.log(JSON.stringify({ state: stateRoot, stages: prefixes().map(describe) }, null, 2))
  else if (!/^[a-z][a-z0-9]{0,8}$/.test(prefix))
    throw new Error('usage: up PREFIX COUNT | lose PREFIX HOST | down PREFIX | list   (PREFIX: up to 9 letters and digits)')
  else if (command === 'up') {
    await nspawnProvider.apply({ site: siteOf(prefix, Number(what)), state, emit, signal }, [])
    console.log(JSON.stringify(describe(prefix), null, 2))
  } else if (command === 'lose') {
    const site = siteOf(prefix, hostsOnDisk(folderOf(prefix)).length)
    await nspawnProvider.lose?.({ site, state, emit, signal }, `${what}.${prefix}`)
  } else if (command === 'down') {
    await nspawnProvider.destroy({ site: siteOf(prefix, 0), state, emit, signal })
    rmSync(join(contextRoot, prefix), { recursive: true, force: true })
  } else throw new Error(`${command ?? 'nothing'}: not up, lose, down or list`)
} catch (error) {
  console.error(messageOf(error), error)
  process.exitCode = 1
}
