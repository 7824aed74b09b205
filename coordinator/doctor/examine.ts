/** All hosts are asked at once what they know of a mirrored volume; what moves is looked at twice. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Examination } from '#gen/hive/v1/doctor.ts'
import { HiveError } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import { holdsDisk, mirroredVolumesOf, mirrorsWithDrbd } from '../inventory/mirrored-volumes.ts'
import type { Site } from '../inventory/site.ts'
import { diagnose } from './diagnose.ts'
import type { Finding } from './finding.ts'
import type { VolumeOfSite } from './picture.ts'

export interface ConsultInput {
  readonly site: Site
  readonly agents: Pick<SiteAgents, 'askAll'>
  readonly volume: string
  readonly signal: AbortSignal
}

/** Milliseconds: a host whose storage hangs answers what it can within it. */
const deadline = 60_000
/** Milliseconds between the two looks at what moves: a resync that runs has moved by then. */
export const betweenLooks = 4_000

/** Nothing where volumes are shared folders instead of DRBD's. Rejects with HiveError 'not-found' for a volume that the stage does not mirror, and with 'unreachable' where no host answers. */
export async function consult({ site, agents, volume, signal }: ConsultInput): Promise<readonly Finding[]> {
  const known = mirroredVolumesOf(site)
  const chosen = known.filter(({ name }) => name === volume)
  if (chosen.length === 0) {
    const names = known.map(({ name }) => name)
    throw new HiveError('not-found', `stage ${site.stage} mirrors no volume ${volume}`, {
      hint: names.length === 0 ? 'it mirrors none' : `it mirrors ${names.join(', ')}`,
    })
  }
  if (!mirrorsWithDrbd(site)) return []
  const hosts = site.hosts.filter(({ isHive }) => isHive)
  const look = (): Promise<ReadonlyMap<string, Examination>> =>
    examineAll(
      hosts.map(({ name }) => name),
      { agents, volume, signal },
    )
  const first = await look()
  const about = { volumes: volumesOf(chosen, hosts), hosts: hosts.map(({ name }) => name) }
  if (![...first.values()].some(moves)) return diagnose({ ...about, examinations: first })
  await pause(betweenLooks, undefined, { signal })
  return diagnose({ ...about, examinations: await look(), earlier: first })
}

export const volumesOf = (volumes: ReturnType<typeof mirroredVolumesOf>, hosts: Site['hosts']): readonly VolumeOfSite[] =>
  volumes.map(({ name, diskless }) => ({ name, diskful: new Set(hosts.filter((host) => holdsDisk({ diskless }, host)).map((host) => host.name)) }))

async function examineAll(
  hosts: readonly string[],
  { agents, volume, signal }: Pick<ConsultInput, 'agents' | 'volume' | 'signal'>,
): Promise<ReadonlyMap<string, Examination>> {
  const asked = await agents.askAll(hosts, ({ doctor }) => doctor.examine({ volume, whole: false, withoutVolumes: false }, { deadline, signal }), signal)
  const found = new Map([...asked].flatMap(([host, given]) => ('answer' in given ? [[host, given.answer] as const] : [])))
  if (found.size > 0) return found
  const [failure] = [...asked.values()].flatMap((given) => ('error' in given ? [given.error] : []))
  throw failure ?? new HiveError('unreachable', 'the stage has no host that mirrors')
}

const passing = /^(?:Sync|WFBitMap|Paused|Verify|Ahead|Behind)/
const passingConnection = new Set(['Connecting', 'Disconnecting', 'Unconnected', 'Timeout', 'BrokenPipe', 'NetworkFailure', 'ProtocolError', 'TearDown'])

export const moves = ({ volumes }: Examination): boolean =>
  volumes.some(({ status }) =>
    status?.connections.some(
      ({ state, peerDevices }) => passingConnection.has(state) || peerDevices.some(({ replicationState }) => passing.test(replicationState)),
    ),
  )
