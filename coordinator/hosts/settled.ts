/** What is still missing before a host may go, and after it came back. Pure; '' and empty lists: nothing. */
import { type HostPicture, nodeOf, type ServicePicture, type SitePicture, type VolumeStates } from '../guard/picture.ts'

/** Running tasks of each service on nodes that are ready. */
export function runningOf({ nodes = [], services = [] }: SitePicture, except?: string): ReadonlyMap<string, number> {
  const ready = new Set(nodes.filter(({ name, state }) => state === 'ready' && name !== except).map(({ name }) => name))
  const running = ({ tasks }: ServicePicture): number => tasks.filter(({ node, state, wanted }) => wanted && state === 'running' && ready.has(node)).length
  return new Map(services.map((service) => [service.name, running(service)]))
}

/** What must leave a drained host before it goes, or come up elsewhere. `wanted`: running tasks of services that have a place elsewhere. */
export function leftOn(picture: SitePicture, host: HostPicture, wanted: ReadonlyMap<string, number>): readonly string[] {
  const { nodes, services } = picture
  if (nodes === undefined || services === undefined) return ['no manager of the swarm answers']
  const node = nodeOf(nodes, host)
  if (node === undefined) return []
  // Of a node that is away swarm keeps saying what it last knew.
  const tasks = node.state === 'ready' ? services.filter((service) => service.tasks.some((task) => task.node === node.name)).map(({ name }) => name) : []
  const running = runningOf(picture, node.name)
  const behind = [...wanted].filter(([name, count]) => (running.get(name) ?? 0) < count && services.some((service) => service.name === name))
  const primary = picture.volumes.filter(({ hosts }) => hosts.get(host.name)?.status?.role === 'Primary').map(({ name }) => name)
  return [
    ...tasks.map((name) => `${name} still runs on ${host.shortName}`),
    ...behind.map(([name, count]) => `${name} runs with ${running.get(name) ?? 0} of ${count} elsewhere`),
    ...primary.map((name) => `volume ${name} is still Primary on ${host.shortName}`),
  ]
}

/** Volumes that are not whole as this host sees them. */
export const notWholeOn = ({ volumes }: SitePicture, { name: host }: HostPicture): ReadonlyMap<string, string> =>
  new Map(
    volumes.flatMap((volume): [string, string][] => {
      const why = volume.hosts.has(host) ? whyNotWhole(volume, host) : undefined
      return why === undefined ? [] : [[volume.name, why]]
    }),
  )

function whyNotWhole({ name, hosts, diskful }: VolumeStates, host: string): string | undefined {
  if ([...hosts.values()].every((seen) => seen !== undefined && seen.status === undefined)) return undefined
  const seen = hosts.get(host)
  if (seen === undefined) return `${host} does not tell of ${name}`
  const device = seen.status?.devices[0]
  if (seen.status === undefined || device === undefined) return `${name} is not up on ${host}`
  if (diskful.has(host) && device.diskState !== 'UpToDate') return `the copy of ${name} on ${host} is ${device.diskState}`
  const broken = seen.status.connections.filter(({ state }) => state !== 'Connected')
  if (broken.length > 0) return `${name} on ${host} is ${broken.map(({ name: peer, state }) => `${state} to ${peer}`).join(', ')}`
  // Peers that are behind take from this host what it has; they must have it before the next one goes.
  const behind = seen.status.connections.filter(({ peerDevices }) => peerDevices.some((peer) => !peer.peerClient && peer.peerDiskState !== 'UpToDate'))
  if (behind.length > 0) return `the copy of ${name} on ${behind.map(({ name: peer }) => peer).join(', ')} is not UpToDate`
  return device.quorum ? undefined : `${name} has no quorum on ${host}`
}

/** Why a host that started anew is not a whole member again. `excused`: volumes that were not whole before. */
export function notBack(picture: SitePicture, host: HostPicture, excused: ReadonlySet<string>): readonly string[] {
  const { nodes } = picture
  if (!host.isHive) return []
  if (nodes === undefined) return ['no manager of the swarm answers']
  const node = nodeOf(nodes, host)
  if (node !== undefined && node.state !== 'ready') return [`its swarm node is ${node.state}`]
  if (node?.role === 'manager' && node.reachability !== 'reachable') return [`as a manager it is ${node.reachability}`]
  return [...notWholeOn(picture, host)].filter(([volume]) => !excused.has(volume)).map(([, why]) => why)
}

/** Services with fewer running tasks than they had, or should have. */
export function behindOf(picture: SitePicture, wanted: ReadonlyMap<string, number>): readonly string[] {
  if (picture.services === undefined) return ['no manager of the swarm answers']
  const running = runningOf(picture)
  return picture.services.flatMap(({ name }) => {
    const [has, should] = [running.get(name) ?? 0, wanted.get(name) ?? 0]
    return has < should ? [`${name} runs with ${has} of ${should}`] : []
  })
}

/** Another text whenever anything that is waited for moved. */
export function measureOf({ nodes, services, volumes, hosts }: SitePicture): string {
  return JSON.stringify([
    hosts.map(({ answers }) => answers),
    nodes?.map(({ name, state, reachability, availability }) => [name, state, reachability, availability]),
    services?.map(({ name, tasks }) => [name, tasks.map(({ node, state, wanted }) => [node, state, wanted])]),
    volumes.map(({ name, hosts: seen }) => [
      name,
      [...seen.values()].map((one) => [
        one?.status?.role,
        one?.status?.devices.map(({ diskState, quorum }) => [diskState, quorum]),
        one?.status?.connections.map(({ state, peerDevices }) => [state, peerDevices.map(({ outOfSyncKib }) => String(outOfSyncKib))]),
      ]),
    ]),
  ])
}
