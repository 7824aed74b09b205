/** The host's own firewall: looking at it, putting it in place, and back where that fails. */
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { Family } from '../../../proto/follower-labels.ts'
import { run } from '../command.ts'
import { type FileProperties, readFileState, removeFile, writeFileAtomic } from '../files.ts'
import { writable } from '../gate.ts'
import { contains } from './addresses.ts'
import { connectedTo } from './connected.ts'
import {
  asWanted,
  dockerParts,
  type FirewallSpec,
  firewallDifferences,
  mayConnect,
  type Present,
  presentFirewall,
  restoreText,
  wantedFirewall,
} from './firewall-rules.ts'
import { type Listing, listRules } from './iptables.ts'

/** What the agent keeps in place between deploys, and from its start on. */
export const settingsPath = '/etc/hive-agent/firewall.json'
/** What steps and the keeper take: one at a time. */
export const exclusiveKey = 'firewall'

const properties: FileProperties = { mode: 0o600, uid: 0, gid: 0 }

export interface Look {
  readonly family: Family
  readonly listing: Listing
  readonly present: Present
  /** A sentence each. */
  readonly differences: readonly string[]
}

/** Of the families that the host has. Throws HiveError. */
export async function lookAtFirewall(spec: FirewallSpec, signal: AbortSignal): Promise<readonly Look[]> {
  const looks = await Promise.all(
    ([4, 6] as const).map(async (family): Promise<Look | undefined> => {
      const listing = await listRules(family, 'filter', signal)
      if (listing === undefined) return undefined
      const present = presentFirewall(listing)
      const differences = firewallDifferences(wantedFirewall(spec, family, present.dockerIsThere), present)
      return { family, listing, present, differences: differences.map((text) => `IPv${family}: ${text}`) }
    }),
  )
  return looks.filter((look) => look !== undefined)
}

/** Who is connected now and would not get in again, "203.0.113.7 (ssh)". */
export async function shutOut(spec: FirewallSpec): Promise<readonly string[]> {
  const doors = [
    ['ssh', spec.sshPort],
    ['agent', spec.agentPort],
  ] as const
  const found = await Promise.all(
    doors.map(async ([to, port]) => (await connectedTo(port)).filter((from) => !mayConnect(spec, to, from, contains)).map((from) => `${from} (${to})`)),
  )
  return found.flat()
}

export interface PutInPlaceOptions {
  readonly signal: AbortSignal
  readonly log: (line: string) => void
  /** For tests: what looks again before it counts. Throws where it is not as it shall be. */
  readonly confirm?: () => Promise<void>
}

/**
 * Each family in one move of the kernel's; afterwards the rules are read again, and docker's have to be as they were. Where anything is not, what was
 * there before is put back. Throws HiveError.
 */
export async function putInPlace(spec: FirewallSpec, { signal, log, confirm = async () => undefined }: PutInPlaceOptions): Promise<void> {
  const before = await lookAtFirewall(spec, signal)
  const docker = await dockerRules(signal)
  try {
    for (const { family, present, differences } of before) {
      if (differences.length === 0) continue
      await restore(family, restoreText(wantedFirewall(spec, family, present.dockerIsThere), present), signal)
      log(`the rules of IPv${family} are in place`)
    }
    const after = await lookAtFirewall(spec, signal)
    const wrong = after.flatMap(({ differences }) => differences)
    if (wrong.length > 0) throw new HiveError('not-converged', `the firewall is not as it was put in place: ${wrong.join('; ')}`)
    const lost = await goneForGood(
      docker,
      () => dockerRules(signal),
      () => wait(lookEvery, undefined, { signal }),
    )
    if (lost.length > 0)
      throw new HiveError('not-converged', "rules of docker's own are gone", { log: lost.slice(0, 10), hint: 'systemctl restart docker makes them anew' })
    await confirm()
  } catch (error) {
    // Also where the step was told to stop.
    await goBack(before, AbortSignal.timeout(30_000)).catch((thrown: unknown) => {
      throw new HiveError('command-failed', `the firewall could not be put in place, nor back: ${messageOf(thrown)}`, { cause: error })
    })
    log('what was there before is back')
    throw error
  }
}

/** Milliseconds, and looks: docker takes its jumps out and puts them in again whenever it makes a network, as when a host joins the swarm. */
const lookEvery = 500
const looks = 12

/** Lines that were there before and are missing in every look. */
export async function goneForGood(before: readonly string[], look: () => Promise<readonly string[]>, pause: () => Promise<void>): Promise<readonly string[]> {
  let lost = before
  for (let count = 0; ; count += 1) {
    const now = new Set(await look())
    lost = lost.filter((line) => !now.has(line))
    if (lost.length === 0 || count === looks) return lost
    await pause()
  }
}

async function goBack(before: readonly Look[], signal: AbortSignal): Promise<void> {
  for (const { family, present } of before) {
    const listing = await listRules(family, 'filter', signal)
    if (listing !== undefined) await restore(family, restoreText(asWanted(present), presentFirewall(listing)), signal)
  }
}

const restore = (family: Family, text: string, signal: AbortSignal): Promise<unknown> =>
  run([family === 4 ? 'iptables-restore' : 'ip6tables-restore', '-w', '10', '--noflush'], { input: text, timeout: 30_000, signal })

async function dockerRules(signal: AbortSignal): Promise<readonly string[]> {
  const tables = ([4, 6] as const).flatMap((family) => (['filter', 'nat'] as const).map((table) => [family, table] as const))
  const listings = await Promise.all(tables.map(([family, table]) => listRules(family, table, signal)))
  return listings.flatMap((listing) => (listing === undefined ? [] : dockerParts(listing).map((line) => `IPv${listing.family} ${listing.table}: ${line}`)))
}

/** Always the same bytes. */
const renderSettings = ({ absent, hosts, internal, sshPort, sshSources, agentPort, agentSources, cluster, internalFrom, published }: FirewallSpec): string =>
  `${JSON.stringify({ absent, hosts, internal, sshPort, sshSources, agentPort, agentSources, cluster: cluster.map(({ name, protocol, ports }) => ({ name, protocol, ports })), internalFrom, published }, null, 2)}\n`

/** undefined where there is none. Throws HiveError 'invalid-input' for a damaged file. */
export async function readSettings(path = settingsPath): Promise<FirewallSpec | undefined> {
  const state = await readFileState(path)
  if (state === undefined) return undefined
  try {
    const found = JSON.parse(state.content.toString('utf8')) as FirewallSpec
    // What was not written by an agent ends here, not in the middle of a change.
    return JSON.parse(renderSettings(found)) as FirewallSpec
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} is damaged`, { hint: '`hivecoord setup-hosts` writes it anew', cause })
  }
}

export async function settingsFit(spec: FirewallSpec, path = settingsPath): Promise<boolean> {
  const state = await readFileState(path)
  return spec.absent ? state === undefined : state?.content.toString('utf8') === renderSettings(spec)
}

export const keepSettings = (spec: FirewallSpec, path = settingsPath): Promise<void> =>
  spec.absent ? writable(() => removeFile(path)) : writeFileAtomic(path, renderSettings(spec), properties)
