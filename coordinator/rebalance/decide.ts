/**
 * Which services are spread again after a failure left them crowded on few hosts. Pure.
 *
 * - Swarm chooses the place of each task that is replaced: the node with the fewest tasks of the service, of these the one with the fewest at all. So a
 *   service moves only where each node that swarm may choose can run it as it should: UpToDate copies of its volumes, its image, its ports.
 * - It moves only where that spreads it, or the hosts' load, more evenly; global services never do.
 * - A service with one task and a mirrored volume, or with data that each host has by itself, moves only where it is named.
 * - One that is not whole, or is being changed, is left alone.
 */
import { admits } from '../guard/node-admits.ts'
import { hostOf, type NodePicture, type ServicePicture, type SitePicture } from '../guard/picture.ts'
import { whyNotOn } from '../guard/services-without.ts'

export interface Move {
  readonly service: string
  /** A sentence. */
  readonly why: string
  /** It has one task, and stops while that one moves. */
  readonly interrupts: boolean
  /** Tasks by node, now and as swarm is expected to place them. */
  readonly now: ReadonlyMap<string, number>
  readonly after: ReadonlyMap<string, number>
}

/** Crowded, and left as it is. */
export interface Kept {
  readonly service: string
  readonly why: string
}

export interface Rebalancing {
  /** In the order in which they are made. */
  readonly moves: readonly Move[]
  readonly kept: readonly Kept[]
}

/** `named`: only these are looked at, and move although they stop meanwhile; empty: all. Nothing is decided while no manager tells what there is. */
export function decideRebalance(picture: SitePicture, named: ReadonlySet<string> = new Set()): Rebalancing {
  const { nodes, services } = picture
  if (nodes === undefined || services === undefined) return { moves: [], kept: [] }
  const load = loadOf(nodes, services)
  const moves: Move[] = []
  const kept: Kept[] = []
  for (const service of inOrder(services)) {
    if (service.mode === 'global' || service.desired === 0 || (named.size > 0 && !named.has(service.name))) continue
    const crowd = crowdOf(service, nodes, load)
    if (crowd === undefined) continue
    const against = whyNot(service, crowd, { picture, nodes, services, named })
    if (against !== undefined) kept.push({ service: service.name, why: `${crowd.why}; ${against}` })
    else {
      moves.push({ service: service.name, why: crowd.why, interrupts: service.desired === 1, now: crowd.now, after: crowd.after })
      for (const [node, count] of load) load.set(node, count - (crowd.now.get(node) ?? 0) + (crowd.after.get(node) ?? 0))
    }
  }
  return { moves, kept }
}

/** Those that several tasks serve first: nothing stops while they move, and what is left is decided by the load after them. */
const inOrder = (services: readonly ServicePicture[]): readonly ServicePicture[] =>
  services.toSorted((a, b) => Number(a.desired === 1) - Number(b.desired === 1) || a.volumes.length - b.volumes.length || (a.name < b.name ? -1 : 1))

const isWanted = ({ wanted }: { readonly wanted: boolean }): boolean => wanted

function loadOf(nodes: readonly NodePicture[], services: readonly ServicePicture[]): Map<string, number> {
  const load = new Map(nodes.map(({ name }) => [name, 0]))
  for (const { node } of services.flatMap(({ tasks }) => tasks.filter(isWanted))) load.set(node, (load.get(node) ?? 0) + 1)
  return load
}

interface Crowd {
  readonly why: string
  readonly now: ReadonlyMap<string, number>
  readonly after: ReadonlyMap<string, number>
  /** Nodes that swarm may choose. */
  readonly places: readonly NodePicture[]
}

/** undefined: it is spread as far as it can be. */
function crowdOf(service: ServicePicture, nodes: readonly NodePicture[], load: ReadonlyMap<string, number>): Crowd | undefined {
  const places = nodes.filter((node) => node.state === 'ready' && node.availability === 'active' && admits(service.constraints, node) !== 'no')
  const now = new Map<string, number>()
  for (const { node } of service.tasks.filter(isWanted)) now.set(node, (now.get(node) ?? 0) + 1)
  const tasks = [...now.values()].reduce((sum, count) => sum + count, 0)
  if (places.length < 2 || tasks === 0) return undefined
  // Swarm moves what has no business where it is by itself.
  if ([...now.keys()].some((name) => !places.some((place) => place.name === name))) return undefined
  const without = new Map([...load].map(([node, count]) => [node, count - (now.get(node) ?? 0)]))
  const after = placed(tasks, places, without)
  const [fullest = '', most = 0] = [...now].toSorted(([, a], [, b]) => b - a)[0] ?? []
  if (tasks > 1) {
    const even = Math.ceil(tasks / places.length)
    if (most <= even) return undefined
    return { why: `${most} of its ${tasks} tasks run on ${fullest}, and ${places.length} nodes may run it`, now, after, places }
  }
  const least = places.filter(({ name }) => name !== fullest).toSorted((a, b) => (load.get(a.name) ?? 0) - (load.get(b.name) ?? 0))[0]
  if (least === undefined || (load.get(fullest) ?? 0) - (load.get(least.name) ?? 0) < 2) return undefined
  return { why: `${fullest} runs ${load.get(fullest)} tasks, ${least.name} ${load.get(least.name)}`, now, after, places }
}

/** As swarm does it: one after the other, each to the node with the fewest of the service, of these the one with the fewest tasks at all. */
function placed(tasks: number, places: readonly NodePicture[], load: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (let count = 0; count < tasks; count++) {
    const [next] = places.toSorted((a, b) => (counts.get(a.name) ?? 0) - (counts.get(b.name) ?? 0) || total(a.name) - total(b.name))
    if (next !== undefined) counts.set(next.name, (counts.get(next.name) ?? 0) + 1)
  }
  return counts

  function total(name: string): number {
    return (load.get(name) ?? 0) + (counts.get(name) ?? 0)
  }
}

interface Around {
  readonly picture: SitePicture
  readonly nodes: readonly NodePicture[]
  readonly services: readonly ServicePicture[]
  readonly named: ReadonlySet<string>
}

function whyNot(service: ServicePicture, { places, now }: Crowd, { picture, nodes, services, named }: Around): string | undefined {
  const ready = new Set(nodes.filter(({ state }) => state === 'ready').map(({ name }) => name))
  const running = service.tasks.filter(({ node, wanted, state }) => wanted && state === 'running' && ready.has(node)).length
  if (running < service.desired || service.tasks.some(({ wanted }) => !wanted)) return 'it is not whole now, or on its way: hivecoord doctor tells why'
  if (!named.has(service.name)) {
    if (service.desired === 1 && service.volumes.length > 0)
      return `it has one task and the mirrored volume ${service.volumes.join(', ')}: it would stop while it moves. Name it to move it`
    if (service.localVolumes.length > 0)
      return `it keeps data on its hosts (${service.localVolumes.join(', ')}), and would find others elsewhere. Name it to move it`
  }
  for (const node of places) {
    const against = whyNotThere(node, service, now.has(node.name), picture, services)
    if (against !== undefined) return `swarm might choose ${node.name}, which ${against}`
  }
  return undefined
}

/** A task may come back to where one runs: what it has there it will have again, but for a copy of a volume that is not whole. */
function whyNotThere(
  node: NodePicture,
  service: ServicePicture,
  runsThere: boolean,
  picture: SitePicture,
  services: readonly ServicePicture[],
): string | undefined {
  const host = hostOf(picture.hosts, node.name)
  if (host === undefined) return 'is no host of the inventory'
  // Its own port is free again when its task is gone.
  const seen = runsThere ? { ...service, hostPorts: [] } : service
  return whyNotOn(node, seen, { picture, services, host, gone: 'tasks' })?.text
}
