/**
 * What this host shall have for the services that ask for it, and which nodes of the swarm shall bear which marks: pure.
 *
 * Invariants:
 * - of what swarm says, each host concludes the same: an address has one holder at most;
 * - a mark is where a task of its service is wanted, on nodes that swarm has not given up;
 * - whatever is wrong with a service is told of this service, and changes nothing for another.
 */
import { type Family, type VirtualAddress, type Wishes, wishesOf } from '../../../proto/follower-labels.ts'
import { contains, type LinkSight } from '../../adapters/network/addresses.ts'
import { chainKey, type RuleSight } from '../../adapters/network/iptables.ts'
import type { HostSight, ServiceSight, SwarmSight, TaskSight } from './picture.ts'

export interface DesiredAddress {
  readonly address: string
  readonly family: Family
  readonly prefixLength: number
  readonly interface: string
  /** The interface has a network that the address is in: a route to it is there. */
  readonly inNetwork: boolean
  /** Whoever asks for it. */
  readonly services: readonly string[]
}

/** A router that has to answer from the address before it counts. */
export interface RouterCheck {
  /** Of the address for this task: another task has another check. */
  readonly key: string
  readonly address: string
  readonly family: Family
  readonly router: string
  readonly service: string
}

export interface Problem {
  readonly service: string
  /** '': the service as a whole. */
  readonly label: string
  readonly message: string
}

export interface Desired {
  readonly addresses: readonly DesiredAddress[]
  readonly checks: readonly RouterCheck[]
  readonly rules: readonly RuleSight[]
  /** By node id; undefined: nobody knows, so that none is changed. */
  readonly marks: ReadonlyMap<string, ReadonlySet<string>> | undefined
  /** Names that services use for marks now: those are nobody else's. */
  readonly markNames: ReadonlySet<string>
  /** Addresses that services name, wherever they are wanted. */
  readonly knownAddresses: ReadonlySet<string>
  readonly problems: readonly Problem[]
}

/** Where nothing is known of the swarm any more, or there is none. */
export const nothing: Desired = {
  addresses: [],
  checks: [],
  rules: [],
  marks: undefined,
  markNames: new Set(),
  knownAddresses: new Set(),
  problems: [],
}

/** How a router answered, by `RouterCheck.key`. Absent: not yet. */
export type RouterAnswers = ReadonlyMap<string, 'answers' | 'abandoned'>

interface Asking {
  readonly service: ServiceSight
  readonly wishes: Wishes
  /** undefined: none is wanted on a node that lives. */
  readonly holder: TaskSight | undefined
}

export function desired(swarm: SwarmSight, host: HostSight, answers: RouterAnswers): Desired {
  const dead = new Set(swarm.nodes.filter((node) => node.dead).map(({ id }) => id))
  const living = swarm.tasks.filter(({ nodeId }) => nodeId !== '' && !dead.has(nodeId))
  const problems: Problem[] = []
  const asking = inOrder(swarm.services).map((service): Asking => {
    const wishes = wishesOf(service.labels)
    problems.push(...wishes.problems.map((one) => ({ service: service.name, ...one })))
    return { service, wishes, holder: holderOf(living.filter(({ serviceId }) => serviceId === service.id)) }
  })
  const { addresses, checks, rules } = here(asking, swarm, host, answers, problems)
  return {
    addresses,
    checks,
    rules,
    marks: marksOf(asking, living),
    markNames: new Set(asking.flatMap(({ wishes }) => wishes.mark ?? [])),
    knownAddresses: new Set(asking.flatMap(({ wishes }) => wishes.addresses.map(({ address }) => address))),
    problems,
  }
}

/** Whoever came first has an address that two ask for. */
const inOrder = (services: readonly ServiceSight[]): readonly ServiceSight[] =>
  services.toSorted((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id))

/** Of several tasks one holds the addresses: what runs before what is about to, then the lower slot, then the older one. */
export const holderOf = (tasks: readonly TaskSight[]): TaskSight | undefined =>
  tasks.toSorted(
    (a, b) =>
      Number(a.desired === 'ready') - Number(b.desired === 'ready') ||
      Number(b.runs) - Number(a.runs) ||
      a.slot - b.slot ||
      compare(a.createdAt, b.createdAt) ||
      compare(a.id, b.id),
  )[0]

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

function marksOf(asking: readonly Asking[], tasks: readonly TaskSight[]): Map<string, Set<string>> {
  const marks = new Map<string, Set<string>>()
  for (const { service, wishes } of asking) {
    if (wishes.mark === undefined) continue
    for (const { nodeId } of tasks.filter(({ serviceId }) => serviceId === service.id)) {
      const ofNode = marks.get(nodeId) ?? new Set()
      marks.set(nodeId, ofNode.add(wishes.mark))
    }
  }
  return marks
}

function here(asking: readonly Asking[], swarm: SwarmSight, host: HostSight, answers: RouterAnswers, problems: Problem[]) {
  const holders = new Map<string, { readonly nodeId: string; readonly service: string }>()
  const addresses = new Map<string, DesiredAddress>()
  const checks: RouterCheck[] = []
  const rules: RuleSight[] = []
  const nodes = new Map(swarm.nodes.map((node) => [node.id, node]))
  for (const { service, wishes, holder } of asking) {
    const wrong = (label: string, message: string): void => void problems.push({ service: service.name, label, message })
    for (const vip of wishes.addresses) {
      if (holder === undefined) continue
      const other = holders.get(vip.address)
      if (other !== undefined && other.nodeId !== holder.nodeId) {
        wrong(vip.label, `${vip.address} is where ${other.service} runs, on another host`)
        continue
      }
      holders.set(vip.address, other ?? { nodeId: holder.nodeId, service: service.name })
      const node = nodes.get(holder.nodeId)
      if (node?.isManager === false) wrong(vip.label, `${node.name}, where it runs, is no manager of the swarm: ${vip.address} is nowhere`)
      if (holder.nodeId !== swarm.nodeId) continue
      const place = placeOf(vip, host.links)
      if (place === undefined) {
        wrong(vip.label, vip.interface === undefined ? `no interface of this host has a network with ${vip.address}` : `this host has no ${vip.interface}`)
        continue
      }
      const check: RouterCheck | undefined =
        vip.router === undefined
          ? undefined
          : { key: `${vip.address} ${vip.router} ${holder.id}`, address: vip.address, family: vip.family, router: vip.router, service: service.name }
      const answer = check === undefined ? 'answers' : answers.get(check.key)
      if (answer === 'abandoned') {
        wrong(vip.label, `${vip.router} did not answer from ${vip.address}, which is given up until the task starts anew`)
        continue
      }
      const present = addresses.get(vip.address)
      addresses.set(vip.address, present === undefined ? { ...place, services: [service.name] } : { ...present, services: [...present.services, service.name] })
      if (check !== undefined) checks.push(check)
      if (answer !== 'answers') continue
      const container = host.containers.get(holder.containerId)?.[vip.family]
      if (container !== undefined) rules.push(...rulesOf(vip, service.name, place.interface, container, host.chains))
      else if (holder.runs && (vip.ports.length > 0 || vip.snat)) wrong(vip.label, `its container has no IPv${vip.family} address on docker_gwbridge`)
    }
  }
  return { addresses: [...addresses.values()], checks, rules }
}

/** The named interface, else the first whose network has the address. */
function placeOf(vip: VirtualAddress, links: readonly LinkSight[]): Omit<DesiredAddress, 'services'> | undefined {
  const { address, family } = vip
  if (vip.interface !== undefined) {
    const link = links.find(({ name }) => name === vip.interface)
    if (link === undefined) return undefined
    return { address, family, prefixLength: vip.prefixLength ?? 32, interface: link.name, inNetwork: networksOf(link, vip).length > 0 }
  }
  for (const link of links) {
    const [prefixLength] = networksOf(link, vip)
    if (prefixLength !== undefined) return { address, family, prefixLength, interface: link.name, inNetwork: true }
  }
  return undefined
}

/** Lengths of the prefixes of those networks of the interface that have the address, its own entry left out. */
const networksOf = (link: LinkSight, { address, family }: VirtualAddress): readonly number[] =>
  link.addresses
    .filter((one) => one.family === family && one.address !== address && contains(`${one.address}/${one.prefixLength}`, address))
    .map(({ prefixLength }) => prefixLength)

/** The bridge on which swarm's containers meet the host. */
export const bridge = 'docker_gwbridge'

/** The words stand in the order in which iptables prints them. */
export function rulesOf(vip: VirtualAddress, service: string, link: string, container: string, chains: ReadonlySet<string>): readonly RuleSight[] {
  const { family, address } = vip
  const single = family === 4 ? '/32' : '/128'
  // Without IPv6 docker has no chain of its own there.
  const chain = (table: 'nat' | 'filter', otherwise: string): string => (chains.has(chainKey(family, table, 'DOCKER')) ? 'DOCKER' : otherwise)
  const target = family === 4 ? container : `[${container}]`
  const forwarded = vip.ports.flatMap(({ port, protocol }): readonly RuleSight[] => {
    const comment = (kind: string): string[] => ['-m', 'comment', '--comment', `hive_${kind}_${address}_${protocol}_${port}_${service}`]
    const to = ['-p', protocol, '-m', protocol, '--dport', String(port)]
    return [
      {
        family,
        table: 'nat',
        chain: chain('nat', 'PREROUTING'),
        words: ['-d', `${address}${single}`, ...to, ...comment('dnat'), '-j', 'DNAT', '--to-destination', `${target}:${port}`],
      },
      {
        family,
        table: 'filter',
        chain: chain('filter', 'FORWARD'),
        words: ['-d', `${container}${single}`, '!', '-i', bridge, '-o', bridge, ...to, ...comment('accept'), '-j', 'ACCEPT'],
      },
    ]
  })
  if (!vip.snat) return forwarded
  const words = [
    '-s',
    `${container}${single}`,
    '-o',
    link,
    '-m',
    'comment',
    '--comment',
    `hive_snat_${address}_${service}`,
    '-j',
    'SNAT',
    '--to-source',
    address,
  ]
  return [...forwarded, { family, table: 'nat', chain: 'POSTROUTING', words }]
}
