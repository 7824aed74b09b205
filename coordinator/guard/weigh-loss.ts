/**
 * The quorum guard: what would be left if this went away now. Pure. It says yes only to what is known to be left.
 *
 * - Swarm's managers: more than half of all of them stay reachable without the host, and their agents answer.
 * - Mirrored volumes: proto/drbd-quorum.ts decides, as for `drbd down`; what hosts that did not answer may have is taken at its worst.
 * - Services: each task of the host has another place where its constraints, its ports, its volumes' copies and its image let it run.
 *   Memory and processors are not weighed.
 */
import { type HostPicture, hostOf, nodeOf, type SitePicture, type VolumeStates } from './picture.ts'
import { quorumWithout } from './quorum-without.ts'
import { servicesWithout } from './services-without.ts'
import { type Reason, type Verdict, verdictOf } from './verdict.ts'

export type Loss =
  /** The host is off, with all that is on it. */
  | { readonly kind: 'host'; readonly host: string }
  /** The host is drained: its tasks go, and all else stays. */
  | { readonly kind: 'tasks'; readonly host: string }
  /** The host leaves the swarm for good; its part of volumes stays. */
  | { readonly kind: 'member'; readonly host: string }
  /** One volume goes down on one host, as by `drbd down`. */
  | { readonly kind: 'volume'; readonly volume: string; readonly host: string }
  /** The tasks of one service leave the host. */
  | { readonly kind: 'service'; readonly service: string; readonly host: string }

/** `allowed`: services that may be interrupted. Hosts by their inventory names; one that the picture does not have can't be missed: no. */
export function weighLoss(picture: SitePicture, loss: Loss, allowed: ReadonlySet<string> = new Set()): Verdict {
  const host = picture.hosts.find(({ name }) => name === loss.host)
  if (host === undefined) return verdictOf([{ severity: 'stops', about: { kind: 'host', name: loss.host }, text: `${loss.host} is not known`, evidence: [] }])
  switch (loss.kind) {
    case 'host':
      return verdictOf([...managersWithout(picture, host), ...volumesWithout(picture, host), ...servicesWithout(picture, host, 'host')], allowed)
    case 'tasks':
      return verdictOf(servicesWithout(picture, host, 'tasks'), allowed)
    case 'member':
      return verdictOf([...managersWithout(picture, host, true), ...servicesWithout(picture, host, 'tasks')], allowed)
    case 'volume':
      return verdictOf(volumesWithout({ ...picture, volumes: picture.volumes.filter(({ name }) => name === loss.volume) }, host))
    case 'service':
      return verdictOf(
        servicesWithout(picture, host, 'tasks').filter(({ about }) => about.kind !== 'service' || about.name === loss.service),
        allowed,
      )
  }
}

/** `forGood`: it is counted no more, either. */
function managersWithout({ nodes, hosts }: SitePicture, host: HostPicture, forGood = false): readonly Reason[] {
  const about = { kind: 'swarm', name: 'swarm' } as const
  if (!host.isHive && nodes === undefined) return []
  if (nodes === undefined)
    return [
      {
        severity: 'stops',
        about,
        text: `no manager of the swarm answers: whether the others keep a majority without ${host.shortName} is not known`,
        evidence: [],
      },
    ]
  const node = nodeOf(nodes, host)
  if (node === undefined)
    return host.isHive ? [{ severity: 'notes', about, text: `${host.shortName} is not in the swarm`, evidence: nodes.map(({ name }) => name) }] : []
  const managers = nodes.filter(({ role, id }) => role === 'manager' && !(forGood && id === node.id))
  // Swarm takes a host that died for reachable for some seconds; its agent tells it at once.
  const silent = (name: string): boolean => hostOf(hosts, name)?.answers === false
  const left = managers.filter((one) => one.id !== node.id && one.state === 'ready' && one.reachability === 'reachable' && !silent(one.name))
  const needed = Math.floor(managers.length / 2) + 1
  const evidence = managers.map(
    (one) => `${one.name}: ${one.state}, ${one.leader ? 'leader' : one.reachability}${silent(one.name) ? ', its agent does not answer' : ''}`,
  )
  const count = `${left.length} of ${managers.length} managers`
  if (left.length < needed)
    return [
      { severity: 'stops', about, text: `the swarm would have ${count} without ${host.shortName}, and needs ${needed}: nothing could be moved`, evidence },
    ]
  return [{ severity: 'keeps', about, text: `the swarm keeps ${count}, and needs ${needed}`, evidence }]
}

function volumesWithout({ volumes }: SitePicture, host: HostPicture): readonly Reason[] {
  return volumes.flatMap((volume): readonly Reason[] => {
    const { name, hosts } = volume
    if (!hosts.has(host.name) || isNotMade(volume)) return []
    const own = hosts.get(host.name)
    // Where it is not up, what is left is what there is now.
    const kind = own !== undefined && own.status === undefined ? 'none' : 'down'
    const { verdict, reasons } = quorumWithout(volume, host.name, kind)
    const about = { kind: 'volume', name } as const
    const evidence = [...hosts].map(([one, seen]) => `${one}: ${stateOf(seen)}`)
    if (verdict === 'safe') return [{ severity: 'keeps', about, text: `volume ${name}: ${reasons.join('; ')}`, evidence }]
    return [{ severity: 'stops', about, text: `volume ${name} ${lossOf[verdict]} without ${host.shortName}: ${reasons.join('; ')}`, evidence }]
  })
}

const lossOf = {
  'loses-last-copy': 'would have no valid copy',
  'loses-quorum': 'would have no quorum',
  unknown: 'may lose its quorum',
} as const

/** All hosts answer, and none has it up: it is to be built yet. */
const isNotMade = ({ hosts }: VolumeStates): boolean => [...hosts.values()].every((seen) => seen !== undefined && seen.status === undefined)

function stateOf(seen: ReturnType<VolumeStates['hosts']['get']>): string {
  if (seen === undefined) return 'does not answer'
  const { status } = seen
  if (status === undefined) return 'not up'
  const disks = status.devices.map(({ diskState, client, quorum }) => `${client ? 'diskless' : diskState}${quorum ? '' : ', no quorum'}`)
  const broken = status.connections.filter(({ state }) => state !== 'Connected').map(({ name, state }) => `${state} to ${name}`)
  return [status.role, ...disks, ...broken].join(', ')
}
