/** Where the tasks of a host would go, and what would not run meanwhile. Pure. */
import { isCalled } from '../images/image-table.ts'
import { admits } from './node-admits.ts'
import { type HostPicture, hostOf, type NodePicture, nodeOf, type ServicePicture, type SitePicture } from './picture.ts'
import { quorumWithout } from './quorum-without.ts'
import type { Reason } from './verdict.ts'

/** `gone`: the whole host, with its copies of volumes, or its tasks alone. Of hosts outside the swarm there is nothing to say. */
export function servicesWithout(picture: SitePicture, host: HostPicture, gone: 'host' | 'tasks'): readonly Reason[] {
  const { nodes, services } = picture
  if (nodes === undefined || services === undefined)
    return host.isHive && gone === 'tasks'
      ? [
          {
            severity: 'stops',
            about: { kind: 'swarm', name: 'swarm' },
            text: `no manager of the swarm answers: what runs on ${host.shortName} can't be moved`,
            evidence: [],
          },
        ]
      : []
  const leaving = nodeOf(nodes, host)
  if (leaving === undefined) return []
  return services.flatMap((service) => withoutNode(service, { picture, nodes, services, host, leaving, gone }))
}

interface Around {
  readonly picture: SitePicture
  readonly nodes: readonly NodePicture[]
  readonly services: readonly ServicePicture[]
  readonly host: HostPicture
  readonly leaving: NodePicture
  readonly gone: 'host' | 'tasks'
}

function withoutNode(service: ServicePicture, around: Around): readonly Reason[] {
  const { nodes, leaving, host } = around
  const { name, mode, desired, localVolumes } = service
  const here = service.tasks.filter(({ node, wanted }) => wanted && node === leaving.name).length
  if (here === 0) return []
  const about = { kind: 'service', name } as const
  const ready = new Set(nodes.filter(({ id, state }) => id !== leaving.id && state === 'ready').map((node) => node.name))
  const elsewhere = service.tasks.filter(({ node, wanted, state }) => wanted && state === 'running' && ready.has(node)).length
  const others = nodes.filter(({ id }) => id !== leaving.id)
  const candidates = others.map((node) => ({ node, against: whyNotOn(node, service, around) }))
  const places = candidates.filter(({ against }) => against === undefined)
  const evidence = candidates.map(({ node, against }) => `${node.name}: ${against?.text ?? 'can run it'}`)
  if (mode === 'global')
    return elsewhere > 0
      ? [{ severity: 'keeps', about, text: `${name} runs on ${elsewhere} other hosts`, evidence: [] }]
      : [{ severity: 'interrupts', about, text: `${name} runs on ${host.shortName} alone: it would not run without it`, evidence }]
  // A port of the host is one task's: so many can go elsewhere as there are places.
  const room = service.hostPorts.length > 0 ? places.length : here
  if (places.length === 0 || room < here) {
    const left = elsewhere + Math.min(room, places.length)
    if (left > 0)
      return [{ severity: 'notes', about, text: `${name} would run with ${left} of ${desired}: not all of its tasks have a place elsewhere`, evidence }]
    return [{ severity: 'interrupts', about, text: `${name} would not run without ${host.shortName}: ${summary(candidates)}`, evidence }]
  }
  const withoutImage = candidates.filter(({ against }) => against?.image === true).map(({ node }) => node.name)
  const reasons: Reason[] = [{ severity: 'keeps', about, text: `${name} can run on ${places.map(({ node }) => node.name).join(', ')}`, evidence }]
  if (withoutImage.length > 0)
    reasons.push({
      severity: 'notes',
      about,
      text: `${withoutImage.join(', ')} has no image of ${name} (${service.image}): a task that swarm sends there first has to pull it`,
      evidence,
    })
  if (localVolumes.length > 0)
    reasons.push({
      severity: 'notes',
      about,
      text: `${name} leaves what ${host.shortName} keeps in ${localVolumes.join(', ')}: elsewhere it finds that host's own`,
      evidence: [],
    })
  return reasons
}

export interface Against {
  readonly text: string
  /** Nothing but the image is missing. */
  readonly image?: true
}

const summary = (candidates: readonly { readonly node: NodePicture; readonly against: Against | undefined }[]): string =>
  candidates.length === 0 ? 'there is no other host' : candidates.map(({ node, against }) => `${node.name} ${against?.text ?? ''}`).join(', ')

/** Why a task would not run there, or not as it should; undefined: it can. */
export function whyNotOn(
  node: NodePicture,
  service: ServicePicture,
  { picture, services, host, gone }: Pick<Around, 'picture' | 'services' | 'host' | 'gone'>,
): Against | undefined {
  if (node.state !== 'ready') return { text: `is ${node.state}` }
  if (node.availability !== 'active') return { text: `takes no tasks (${node.availability})` }
  const admitted = admits(service.constraints, node)
  if (admitted === 'no') return { text: `is not allowed (${service.constraints.join(', ')})` }
  if (typeof admitted === 'object') return { text: `may not be allowed (${admitted.undecided})` }
  const taken = service.hostPorts.find((port) =>
    services.some((other) => other.hostPorts.includes(port) && other.tasks.some((task) => task.node === node.name)),
  )
  if (taken !== undefined) return { text: `has its port ${taken} taken` }
  const target = hostOf(picture.hosts, node.name)
  if (target === undefined) return { text: 'is no host of the inventory' }
  const volume = service.volumes.map((name) => whyNotMounted(name, target, picture, host, gone)).find((why) => why !== undefined)
  if (volume !== undefined) return { text: volume }
  if (target.images === undefined) return { text: 'does not tell its images' }
  if (!target.images.some((image) => isCalled(image, service.image))) return { text: `has no image ${service.image}`, image: true }
  return undefined
}

/** Why a mirrored volume can't be mounted there afterwards; volumes that are not mirrored by DRBD are everywhere. */
function whyNotMounted(name: string, target: HostPicture, picture: SitePicture, host: HostPicture, gone: 'host' | 'tasks'): string | undefined {
  const volume = picture.volumes.find((one) => one.name === name)
  if (volume === undefined) return undefined
  if (!volume.diskful.has(target.name)) return `has no disk of ${name}`
  const seen = volume.hosts.get(target.name)
  if (seen === undefined) return 'does not answer'
  const device = seen.status?.devices[0]
  if (device === undefined) return `does not have ${name} up`
  if (device.diskState !== 'UpToDate') return `has a copy of ${name} that is ${device.diskState}`
  if (!device.quorum) return `has no quorum of ${name}`
  if (gone === 'tasks') return undefined
  const up = volume.hosts.get(host.name)?.status !== undefined
  return !up || quorumWithout(volume, host.name).verdict === 'safe' ? undefined : `would have no quorum of ${name}`
}
