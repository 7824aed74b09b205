/**
 * Whether a swarm has lost its majority for good, who shall go on alone, and what is left to do until it is whole. Pure: each step is concluded from what is
 * seen now, so that a command that was interrupted goes on where it was.
 *
 * - With a leader there is a majority, and no new cluster is forced; before one is, nobody had a leader for as long as elections take.
 * - Managers are those that the survivors' dockers have written down. Those that do not answer may be alive elsewhere: only who is named as gone is counted out,
 *   and what is left must not be able to become a majority.
 * - The newest survivor, by raft's own order, has all that a majority can have agreed on and that still exists.
 * - A manager of before that is no member of raft any more leaves and joins anew under another id. What its old node had (labels, availability) goes to
 *   the new one before the old one is removed.
 */
import type { SwarmNode } from '#gen/hive/v1/docker.ts'
import { isNewer, type RaftEnd } from '../../proto/raft-order.ts'
import { isNodeOf } from '../guard/picture.ts'
import { lasting } from './kept.ts'
import type { SeenMember, SwarmPicture } from './observe.ts'

export interface Wanted {
  /** Inventory name of the survivor that goes on alone. */
  readonly from: string | undefined
  /** Inventory names of hosts that do not come back. */
  readonly gone: ReadonlySet<string>
}

export interface Known extends Wanted {
  /** Inventory names of hosts that were told to leave, and have not joined yet. */
  readonly rejoining: ReadonlySet<string>
}

export type RecoveryStep =
  | { readonly kind: 'force'; readonly host: string; readonly nodeId: string; readonly address: string }
  /** Its docker forgets what was. */
  | { readonly kind: 'leave'; readonly host: string }
  | { readonly kind: 'join'; readonly host: string; readonly role: 'manager' | 'worker'; readonly address: string; readonly at: string }
  /** Of the node that the host was before. */
  | {
      readonly kind: 'inherit'
      readonly host: string
      readonly nodeId: string
      readonly labels: Readonly<Record<string, string>>
      readonly availability: string | undefined
    }
  /** `inRaft`: it counts as a manager still. `labels`: what the host gets back when it has a node again. */
  | {
      readonly kind: 'remove'
      readonly host: string
      readonly nodeId: string
      readonly inRaft: boolean
      readonly labels: Readonly<Record<string, string>>
    }

export interface Diagnosis {
  /** majority: somebody has a leader. undecided: it may come back by itself, or nobody can tell. lost: for good. */
  readonly state: 'majority' | 'undecided' | 'lost'
  /** Sentences: what is so, and why. */
  readonly findings: readonly string[]
  /** Why what is wanted is refused; none: the steps may be carried out. */
  readonly refusals: readonly string[]
  /** The survivor that has the newest log; undefined: there is none, or nobody can tell. */
  readonly newest: string | undefined
  /** In their order; the first one is next. With `lost`, as far as they can be told before the first one is done. */
  readonly steps: readonly RecoveryStep[]
}

export function diagnose(picture: SwarmPicture, wanted: Known): Diagnosis {
  const leaders = new Map([...picture.views].flatMap(([host, nodes]) => nodes.filter(({ leader }) => leader).map(({ id }) => [id, host] as const)))
  if (leaders.size > 1) {
    const told = [...leaders].map(([id, host]) => `${host} follows ${id}`).join(', ')
    const finding = `there are two swarms: ${told}. Hosts that were given up have come back`
    return { state: 'undecided', findings: [finding], refusals: [`${finding}: switch those off that shall not go on`], newest: undefined, steps: [] }
  }
  const [view] = [...picture.views]
  return view === undefined ? withoutLeader(picture, wanted) : withLeader(picture, wanted, view[1])
}

const inWords = ({ term, index }: RaftEnd): string => `term ${term}, entry ${index}`

function withoutLeader({ members }: SwarmPicture, { from, gone }: Wanted): Diagnosis {
  const survivors = members.flatMap((member) => (member.raft?.kept === true ? [{ ...member, raft: member.raft }] : []))
  const known = knownManagers(survivors)
  const needed = Math.floor(known.size / 2) + 1
  const isSurvivor = (id: string): boolean => survivors.some(({ raft }) => raft.nodeId === id)
  const place = (one: SeenMember | string): number => (typeof one === 'string' ? members.length : members.indexOf(one))
  const silent = [...known]
    .filter(([id]) => !isSurvivor(id))
    .map(([, address]) => memberAt(members, address) ?? address)
    .sort((a, b) => place(a) - place(b))
  const nameOf = (one: SeenMember | string): string => (typeof one === 'string' ? one : one.name)
  const findings = [
    ...survivors.map(
      ({ name, raft }) => `${name} is a manager without a leader: ${raft.unreadable === '' ? inWords(raft) : `its log can't be read: ${raft.unreadable}`}`,
    ),
    ...silent.map((one) => `${nameOf(one)} is a manager that ${whyLost(one)}`),
    `${survivors.length} of ${known.size} managers are there, and ${needed} are needed`,
  ]
  if (survivors.length === 0)
    return {
      state: 'undecided',
      findings: ['no host that answers has anything of a swarm'],
      refusals: ['there is no manager to go on with: bring one back, or make a new swarm by a deploy'],
      newest: undefined,
      steps: [],
    }
  const newest = newestOf(survivors)
  const refusals: string[] = []
  // A docker that does not answer may have all that it had; one that answers without a log has lost it.
  const waiting = silent.filter((one) => typeof one === 'string' || (!gone.has(one.name) && one.raft === undefined))
  if (survivors.length >= needed)
    refusals.push(
      `${survivors.length} of ${known.size} managers are enough for a majority: they elect by themselves as soon as they reach each other (tcp 2377)`,
    )
  else if (survivors.length + waiting.length >= needed)
    refusals.push(
      `with ${waiting.map(nameOf).join(', ')} there may still be a majority: bring them back; where they are gone for good, name them: --gone ${waiting.map((one) => (typeof one === 'string' ? one : one.shortName)).join(',')}`,
    )
  refusals.push(...notGone(members, gone))
  const state = refusals.length === 0 ? 'lost' : 'undecided'
  const chosen = survivors.find(({ name }) => name === from)
  if (from !== undefined && chosen === undefined)
    refusals.push(`${from} has no log of the swarm: ${survivors.map(({ name }) => name).join(', ')} ${survivors.length === 1 ? 'has' : 'have'} one`)
  if (chosen?.raft.state === 'locked') refusals.push(`the swarm is locked on ${chosen.name}: docker swarm unlock with its key, on the host`)
  if (chosen !== undefined && newest !== undefined && chosen.name !== newest.name && isNewer(newest.raft, chosen.raft))
    refusals.push(
      `${newest.name} has the newest log (${inWords(newest.raft)}), ${chosen.name} an older one (${inWords(chosen.raft)}): --from ${newest.shortName}`,
    )
  const first = chosen ?? newest
  const others = members.filter(({ name, raft }) => name !== first?.name && raft !== undefined && raft.state !== 'inactive')
  const steps: RecoveryStep[] =
    first === undefined
      ? []
      : [
          { kind: 'force', host: first.name, nodeId: first.raft.nodeId || idAt(known, first.address), address: first.address },
          ...others
            .filter(({ raft }) => raft?.kept === true)
            .flatMap((one): RecoveryStep[] => [
              { kind: 'leave', host: one.name },
              { kind: 'join', host: one.name, role: one.role, address: one.address, at: first.address },
            ]),
          ...[...gone].map((host): RecoveryStep => ({ kind: 'remove', host, nodeId: '', inRaft: false, labels: {} })),
        ]
  return { state, findings, refusals, newest: newest?.name, steps }
}

const whyLost = (one: SeenMember | string): string =>
  typeof one === 'string' || !one.answers
    ? 'does not answer'
    : one.raft === undefined
      ? `does not tell what it has: ${one.silence ?? ''}`
      : 'has lost what it had'

/** Whoever is said to be gone, and is not. */
const notGone = (members: readonly SeenMember[], gone: ReadonlySet<string>): readonly string[] =>
  members.flatMap(({ name, answers, raft, power }) => {
    if (!gone.has(name) || raft?.kept === false) return []
    if (answers) return [`${name} answers: it is not gone`]
    return power === 'running' ? [`${name} runs, as the provider says, and may be a member of a majority that is not seen from here: switch it off`] : []
  })

/** Node id → ADDRESS, of all managers that survivors have written down. */
function knownManagers(survivors: readonly (SeenMember & { readonly raft: NonNullable<SeenMember['raft']> })[]): ReadonlyMap<string, string> {
  const known = new Map<string, string>()
  for (const { raft, address } of survivors) {
    for (const one of raft.managers) known.set(one.nodeId, one.address.slice(0, one.address.lastIndexOf(':')))
    if (raft.nodeId !== '') known.set(raft.nodeId, address)
    // A docker that was left without its node does not tell its own id.
    else if (![...known.values()].includes(address)) known.set(address, address)
  }
  return known
}

const idAt = (known: ReadonlyMap<string, string>, address: string): string => [...known].find(([, at]) => at === address)?.[0] ?? ''

const memberAt = (members: readonly SeenMember[], address: string): SeenMember | undefined => members.find((one) => one.address === address)

/** undefined where another one's log can't be read. */
function newestOf<T extends { readonly raft: RaftEnd & { readonly unreadable: string } }>(survivors: readonly T[]): T | undefined {
  if (survivors.length > 1 && survivors.some(({ raft }) => raft.unreadable !== '')) return undefined
  return survivors.reduce<T | undefined>((newest, one) => (newest === undefined || isNewer(one.raft, newest.raft) ? one : newest), undefined)
}

function withLeader({ members }: SwarmPicture, { from, gone, rejoining }: Known, nodes: readonly SwarmNode[]): Diagnosis {
  const leader = nodes.find((node) => node.leader)
  const led = members.find(({ raft }) => raft !== undefined && raft.nodeId === leader?.id)
  const managers = nodes.filter(({ role }) => role === 'manager')
  const findings = [
    `${leader?.name ?? '?'} leads the swarm: ${managers.filter(({ reachability }) => reachability === 'reachable').length} of ${managers.filter(inRaft).length} managers of raft are reachable`,
  ]
  const steps: RecoveryStep[] = []
  const last: RecoveryStep[] = []
  for (const member of members) {
    const old = nodes.filter(({ name }) => isNodeOf(member, name))
    const own = old.find(({ id }) => id !== '' && id === member.raft?.nodeId)
    const strayed = strayedBecause(member, own, old.length > 0 || rejoining.has(member.name))
    if (strayed !== undefined && led !== undefined) {
      findings.push(`${member.name} ${strayed.why}`)
      if (strayed.leaves) steps.push({ kind: 'leave', host: member.name })
      steps.push({ kind: 'join', host: member.name, role: member.role, address: member.address, at: led.address })
      continue
    }
    const dead = old.filter(({ id }) => id !== own?.id)
    if (own !== undefined && own.state === 'ready' && (own.role !== 'manager' || own.reachability === 'reachable'))
      for (const before of dead) {
        const missing = Object.fromEntries(Object.entries(lasting(before.labels)).filter(([label]) => own.labels[label] === undefined))
        const availability = before.availability !== 'active' && own.availability === 'active' ? before.availability : undefined
        if (Object.keys(missing).length > 0 || availability !== undefined)
          steps.push({ kind: 'inherit', host: member.name, nodeId: own.id, labels: missing, availability })
        steps.push({ kind: 'remove', host: member.name, nodeId: before.id, inRaft: inRaft(before), labels: {} })
      }
    else if (own === undefined && gone.has(member.name))
      last.push(
        ...dead.map((node): RecoveryStep => ({ kind: 'remove', host: member.name, nodeId: node.id, inRaft: inRaft(node), labels: lasting(node.labels) })),
      )
    else if (own !== undefined && own.state !== 'ready') findings.push(`the node of ${member.name} is ${own.state}`)
  }
  steps.push(...last)
  const refusals = [
    ...notGone(members, gone),
    ...(from !== undefined && steps.length > 0 && !members.some(({ name, raft }) => name === from && raft !== undefined && raft.leader !== '')
      ? [`${from} has no leader, and ${led?.name ?? leader?.name ?? 'another manager'} leads the swarm: --from ${led?.shortName ?? leader?.name ?? ''}`]
      : []),
  ]
  if (steps.length === 0) findings.push('nothing is to be recovered')
  return { state: 'majority', findings, refusals, newest: undefined, steps }
}

/** Docker shows raft's members alone as reachable or not. */
const inRaft = ({ reachability }: Pick<SwarmNode, 'reachability'>): boolean => reachability !== ''

/** Why a host has to join anew; undefined: it need not, or nobody can tell. `was`: the swarm knows it by its name, or it was told to leave. */
function strayedBecause({ raft }: SeenMember, own: SwarmNode | undefined, was: boolean): { readonly why: string; readonly leaves: boolean } | undefined {
  if (raft === undefined || raft.leader !== '') return undefined
  if (raft.state === 'inactive' && !raft.kept) return was ? { why: 'is in no swarm, and was in this one', leaves: false } : undefined
  if (own === undefined) return { why: 'has a swarm of before, and is no node of this one', leaves: true }
  return own.role === 'manager' && !inRaft(own) ? { why: 'is a manager of before, and no member of raft any more', leaves: true } : undefined
}
