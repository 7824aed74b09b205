/**
 * What an operation on a mirrored volume would do to its quorum and its copies. Pure; works on what hosts say of the resource, and
 * what they don't say is taken at its worst: an operation is called safe only where it is whatever the hosts that were not heard do.
 *
 * DRBD counts for each node by itself (calc_quorum of drbd_state.c, `quorum majority`): connected disks and its own are there; disks that
 * are away are unknown, or outdated where they left in order. Outdated ones count as voters only while another one is unknown.
 * More than half of the voters must be there; with exactly half, the majority of the diskless nodes keeps a quorum that was there.
 */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'

/** What one host says. Hosts that did not answer are left out. */
export interface HostView {
  /** Name as in the resource file, or its first label. */
  readonly host: string
  /** undefined: the resource is not up there. */
  readonly status: DrbdResourceStatus | undefined
}

export type QuorumOperation =
  /** `none`: what takes nothing away (connect, adjust, verify …): the state as it is. */
  | { readonly kind: 'none' | 'down' | 'detach' | 'invalidate' | 'discard' | 'force-primary'; readonly host: string }
  | { readonly kind: 'disconnect' | 'forget-peer'; readonly host: string; readonly peer: string }

export type QuorumVerdict = 'safe' | 'loses-quorum' | 'loses-last-copy' | 'unknown'

export interface QuorumEffect {
  readonly verdict: QuorumVerdict
  /** Sentences for people; at least one. */
  readonly reasons: readonly string[]
  /** Votes as the Primary counts them afterwards, else the host that has the most: all, how many are needed, how many are left. */
  readonly voters: number
  readonly needed: number
  readonly left: number
  /** Hosts with an UpToDate copy that is known to be left. */
  readonly copies: readonly string[]
}

interface Node {
  readonly id: number
  readonly name: string
  /** Its own status is known. */
  readonly seen: boolean
  readonly disk: string | undefined
  readonly client: boolean
  readonly primary: boolean
  /** As its kernel says. */
  readonly quorum: boolean | undefined
  /** Not part of the volume any more. */
  readonly out: boolean
  /** Nodes that are away and that it counts as outdated. */
  readonly outdated: ReadonlySet<number>
}

interface Picture {
  readonly nodes: readonly Node[]
  /** Connections by the ids of both ends, lower first. Not in it: nobody knows. */
  readonly links: ReadonlyMap<string, boolean>
}

interface Votes {
  readonly voters: number
  readonly needed: number
  readonly left: number
  readonly quorum: boolean
}

/** The effect of an operation on quorum and copies, as far as the views tell. The worst of a resource's volumes counts. */
export function quorumAfter(status: readonly HostView[], operation: QuorumOperation): QuorumEffect {
  const volumes = [...new Set(status.flatMap((view) => view.status?.devices.map(({ volume }) => volume) ?? []))]
  const effects = volumes.map((volume) => effectOn(pictureOf(status, volume), operation))
  const worst = order.map((verdict) => effects.find((effect) => effect.verdict === verdict)).find((effect) => effect !== undefined)
  return worst ?? { verdict: 'unknown', reasons: ['no host tells of the volume'], voters: 0, needed: 0, left: 0, copies: [] }
}

const order: readonly QuorumVerdict[] = ['loses-last-copy', 'loses-quorum', 'unknown', 'safe']

function effectOn(picture: Picture, operation: QuorumOperation): QuorumEffect {
  if (operation.kind === 'none') return weighed(picture)
  const host = nodeNamed(picture, operation.host)
  if (host?.seen !== true) return unknownEffect(`${operation.host} itself does not tell of the volume`)
  const peer = 'peer' in operation ? nodeNamed(picture, operation.peer) : undefined
  if ('peer' in operation && peer === undefined) return unknownEffect(`${operation.host} knows no peer ${operation.peer}`)
  if (operation.kind === 'force-primary') return forced(picture, host)
  if (operation.kind === 'forget-peer' && peer?.out !== true)
    return unknownEffect(`${operation.peer} would not be counted any more, and may go on as the other half without being known to be down`)
  return weighed(applied(picture, operation.kind, host.id, peer?.id))
}

/** Safe where it is even at its worst; unknown where only hosts that were not heard could make it so. */
function weighed(after: Picture): QuorumEffect {
  const worst = assess(after, false)
  if (worst.verdict === 'safe' || assess(after, true).verdict !== 'safe') return worst
  return { ...worst, verdict: 'unknown', reasons: [...worst.reasons, 'unless hosts that were not heard are connected to each other'] }
}

const unknownEffect = (reason: string): QuorumEffect => ({ verdict: 'unknown', reasons: [reason], voters: 0, needed: 0, left: 0, copies: [] })

function forced(picture: Picture, host: Node): QuorumEffect {
  const votes = votesOf(picture, host, false)
  const others = picture.nodes.filter((node) => node.primary && node.id !== host.id)
  const reasons = [
    ...(votes.quorum ? [] : [`${host.name} sees ${votes.left} of ${votes.voters} voters and needs ${votes.needed}; forced, it would hide that`]),
    ...(host.disk === 'UpToDate' ? [] : [`the copy on ${host.name} is ${host.disk ?? 'unknown'}; forced, it would count as the valid one, newer ones as old`]),
    ...others.map((node) => `${node.name} is Primary`),
  ]
  const effect = { voters: votes.voters, needed: votes.needed, left: votes.left, copies: names(picture.nodes.filter((node) => node.disk === 'UpToDate')) }
  if (reasons.length > 0) return { ...effect, verdict: 'loses-quorum', reasons }
  return { ...effect, verdict: 'safe', reasons: [`${host.name} has quorum and an UpToDate copy: it needs no force`] }
}

/** The picture after the operation. Only what it takes away is changed: what DRBD makes good later is not counted on. */
function applied(picture: Picture, kind: QuorumOperation['kind'], host: number, peer: number | undefined): Picture {
  const at = (id: number, change: (node: Node) => Partial<Node>): readonly Node[] =>
    picture.nodes.map((node) => (node.id === id ? { ...node, ...change(node) } : node))
  const cut = (of: (link: string) => boolean): ReadonlyMap<string, boolean> => new Map([...picture.links].map(([link, up]) => [link, up && !of(link)]))
  const ofHost = (link: string): boolean => link.split('-').includes(String(host))
  switch (kind) {
    case 'none':
    case 'force-primary':
      return picture
    case 'detach':
      return { ...picture, nodes: at(host, () => ({ disk: 'Diskless' })) }
    case 'invalidate':
      return { ...picture, nodes: at(host, () => ({ disk: 'Inconsistent' })) }
    case 'discard':
      return { nodes: at(host, () => ({ disk: 'Inconsistent' })), links: cut(ofHost) }
    case 'disconnect': {
      // The Secondary of the two goes out of date by itself; whether its Primary notes that is not counted on.
      const [one, other] = picture.nodes.filter(({ id }) => id === host || id === peer)
      const outdates = one !== undefined && other !== undefined && one.primary !== other.primary ? (one.primary ? other.id : one.id) : undefined
      const nodes = outdates === undefined ? picture.nodes : at(outdates, ({ disk }) => (disk === 'UpToDate' ? { disk: 'Outdated' } : {}))
      return { nodes, links: cut((link) => link === linkOf(host, peer ?? host)) }
    }
    case 'down': {
      // A Secondary that leaves a Primary in order is outdated for it.
      const leaves = (node: Node): boolean =>
        node.primary && picture.links.get(linkOf(node.id, host)) === true && picture.nodes.some(({ id, primary }) => id === host && !primary)
      const nodes = picture.nodes.map((node) =>
        node.id === host ? { ...node, out: true } : leaves(node) ? { ...node, outdated: new Set([...node.outdated, host]) } : node,
      )
      return { nodes, links: cut(ofHost) }
    }
    case 'forget-peer':
      return { nodes: picture.nodes.filter(({ id }) => id !== peer), links: picture.links }
  }
}

/** `hoping`: what is not known is as good as it can be. */
function assess(picture: Picture, hoping: boolean): QuorumEffect {
  const there = picture.nodes.filter(({ out }) => !out)
  const copies = there.filter(({ disk, client }) => disk === 'UpToDate' || (hoping && disk === undefined && !client))
  const counted = there.map((node) => ({ node, votes: votesOf(picture, node, hoping) }))
  const up = (a: Node, b: Node): boolean => picture.links.get(linkOf(a.id, b.id)) ?? hoping
  const reasons: string[] = []
  for (const { node, votes } of counted.filter((one) => one.node.primary)) {
    if (!votes.quorum) reasons.push(`${node.name}, which is Primary, would see ${votes.left} of ${votes.voters} voters and needs ${votes.needed}`)
    if (!copies.some((copy) => copy.id === node.id || up(copy, node))) reasons.push(`${node.name}, which is Primary, would reach no UpToDate copy`)
  }
  const serving = counted.filter(({ node, votes }) => votes.quorum && !node.client && copies.includes(node))
  const shown =
    counted.find(({ node }) => node.primary) ?? serving[0] ?? counted.toSorted((a, b) => b.votes.left - a.votes.left || a.votes.voters - b.votes.voters)[0]
  const { voters, needed, left } = shown?.votes ?? { voters: 0, needed: 0, left: 0 }
  const effect = { voters, needed, left, copies: names(copies) }
  if (copies.length === 0) return { ...effect, verdict: 'loses-last-copy', reasons: ['no UpToDate copy would be left', ...reasons] }
  if (serving.length === 0)
    reasons.push(
      shown === undefined
        ? 'no host would be left'
        : `no host with an UpToDate copy would have quorum: ${shown.node.name} ${left} of ${voters}, ${needed} needed`,
    )
  if (reasons.length > 0) return { ...effect, verdict: 'loses-quorum', reasons }
  return {
    ...effect,
    verdict: 'safe',
    reasons: [`${shown?.node.name} has quorum: ${left} of ${voters} voters, ${needed} needed; UpToDate: ${names(copies).join(', ')}`],
  }
}

/** What DRBD counts on one node. */
function votesOf({ nodes, links }: Picture, self: Node, hoping: boolean): Votes {
  let left = 0
  let outdated = 0
  let unknown = 0
  let diskless = 0
  let disklessAway = 0
  if (self.client) diskless += 1
  else if (self.disk === 'Diskless') unknown += 1
  else left += 1
  for (const node of nodes) {
    if (node.id === self.id) continue
    if (links.get(linkOf(node.id, self.id)) ?? (hoping && !node.out)) {
      if (node.client) diskless += 1
      else left += 1
    } else if (node.client) disklessAway += 1
    else if (self.outdated.has(node.id)) outdated += 1
    else unknown += 1
  }
  const voters = left + (unknown === 0 ? 0 : unknown + outdated)
  const needed = majority(voters)
  const had = self.quorum ?? hoping
  const tie = voters > 0 && voters % 2 === 0 && left === needed - 1 && diskless >= majority(diskless + disklessAway) && had
  // What its kernel denies now is not there after something was taken away.
  return { voters, needed, left, quorum: self.quorum !== false && (left >= needed || tie) }
}

const majority = (of: number): number => Math.floor(of / 2) + 1

function pictureOf(views: readonly HostView[], volume: number): Picture {
  const known = views.flatMap(({ host, status }) => (status === undefined ? [] : [{ host, status }]))
  const down = views.filter(({ status }) => status === undefined).map(({ host }) => host)
  const ids = new Map<number, string>()
  for (const { status } of known) for (const { peerNodeId, name } of status.connections) ids.set(peerNodeId, name)
  for (const { host, status } of known) ids.set(status.nodeId, host)
  const nodes = [...ids]
    .toSorted(([a], [b]) => a - b)
    .map(([id, name]) =>
      nodeOf(
        id,
        name,
        known,
        volume,
        down.some((host) => sameHost(host, name)),
      ),
    )
  const links = new Map<string, boolean>()
  for (const { status } of known)
    for (const other of nodes) {
      if (other.id === status.nodeId) continue
      const connected = !other.out && status.connections.some(({ peerNodeId, state }) => peerNodeId === other.id && state === 'Connected')
      const link = linkOf(status.nodeId, other.id)
      links.set(link, connected && links.get(link) !== false)
    }
  for (const gone of nodes.filter(({ out }) => out)) for (const other of nodes) if (other !== gone) links.set(linkOf(gone.id, other.id), false)
  return { nodes, links }
}

function nodeOf(id: number, name: string, known: readonly { readonly status: DrbdResourceStatus }[], volume: number, down: boolean): Node {
  const own = known.find(({ status }) => status.nodeId === id)?.status
  const device = own?.devices.find((candidate) => candidate.volume === volume)
  const told = known.flatMap(({ status }) => status.connections.filter(({ peerNodeId, state }) => peerNodeId === id && state === 'Connected'))
  const peerDevices = told.flatMap(({ peerDevices: list }) => list.filter((candidate) => candidate.volume === volume))
  const outdated = (own?.connections ?? []).filter((one) =>
    one.peerDevices.some((device) => device.volume === volume && isOutdated.has(device.peerDiskState) && one.state !== 'Connected'),
  )
  return {
    id,
    name,
    seen: own !== undefined,
    disk: own === undefined ? peerDevices[0]?.peerDiskState : (device?.diskState ?? 'Diskless'),
    client: own === undefined ? peerDevices.some(({ peerClient }) => peerClient) : device?.client === true,
    primary: own === undefined ? told.some(({ peerRole }) => peerRole === 'Primary') : own.role === 'Primary',
    quorum: device?.quorum,
    out: down && own === undefined,
    outdated: new Set(outdated.map(({ peerNodeId }) => peerNodeId)),
  }
}

/** States of a disk that is away which DRBD counts as outdated: Outdated and all below it. */
const isOutdated: ReadonlySet<string> = new Set(['Diskless', 'Attaching', 'Detaching', 'Failed', 'Negotiating', 'Inconsistent', 'Outdated'])

const linkOf = (a: number, b: number): string => (a < b ? `${a}-${b}` : `${b}-${a}`)
const names = (nodes: readonly Node[]): string[] => nodes.map(({ name }) => name)
const nodeNamed = ({ nodes }: Picture, name: string): Node | undefined =>
  nodes.find((node) => node.name === name) ?? nodes.find((node) => sameHost(node.name, name))

/** Resource files name hosts with or without their domain. */
export const sameHost = (a: string, b: string): boolean => a === b || a.split('.')[0] === b.split('.')[0]
