/**
 * Another machine takes a host's place, with its name, its address and its node id.
 *
 * - Before anything is touched: the guard, and whether the host is there as it was. What is given up is known by name.
 * - What was begun is kept with the stage, so that the same command goes on: before the machine is gone it begins anew, afterwards it never gives up a machine
 *   again.
 * - The old node leaves the swarm, its labels are kept; the machine goes where the provider makes machines; its ssh key is forgotten, its certificates are revoked.
 * - The phases of a deploy make the new one: machine and agent, base and swarm, volumes, images. Of a repository server all of them, on all hosts.
 * - It gets its labels back. It is done when its node is ready, its copies are UpToDate, its certificate is none of before, and its plan is empty.
 */
import { sameHost } from '../../proto/drbd-quorum.ts'
import { HiveError } from '../../proto/errors.ts'
import { tellStep } from '../bootstrap/told-step.ts'
import { isNodeOf, nodeOf, type SitePicture, type VolumeStates } from '../guard/picture.ts'
import { objections, type Verdict } from '../guard/verdict.ts'
import { weighReplacement } from '../guard/weigh-replacement.ts'
import type { Host } from '../inventory/site.ts'
import type { HostPower } from '../providers/provider.ts'
import type { StageState } from '../run/stage-state.ts'
import { keptLabels, lasting } from '../swarm/kept.ts'
import { awaitProgress } from './await-progress.ts'
import { type DrainInput, drainNode, known } from './drain.ts'
import { measureOf, notBack } from './settled.ts'

export interface Begun {
  /** ISO. */
  readonly since: string
  /** Serial numbers of the certificates that the old machine had. */
  readonly certificates: readonly string[]
  /** Of its node before. */
  readonly availability: string
  /** The old machine is no more: whoever answers from now on is the new one. */
  readonly machineGone: boolean
}

/** Where a stage's state has what was begun. */
export const beginning = (host: string): string => `replacing ${host}`

export function begunIn(state: Pick<StageState, 'get'>, host: string): Begun | undefined {
  const value = state.get(beginning(host)) as Partial<Begun> | undefined
  if (value === undefined || value === null || !Array.isArray(value.certificates)) return undefined
  const { since = '', certificates, availability = 'active', machineGone = false } = value
  return { since, certificates: certificates.map(String), availability, machineGone }
}

export interface ReplacementPlan {
  readonly host: string
  readonly begun: Begun | undefined
  readonly verdict: Verdict
  /** Why it is refused without the host's name once more; none: it may begin. */
  readonly refusals: readonly string[]
  /** Mirrored volumes whose last valid copy may go. */
  readonly atRisk: readonly string[]
  /** A machine that there is would be given up, with its disk. */
  readonly discards: boolean
  /** In their order, a sentence each. */
  readonly steps: readonly string[]
}

export interface ReplacementFacts {
  readonly picture: SitePicture
  readonly host: Pick<Host, 'name' | 'isHive' | 'isRepository'>
  readonly power: HostPower
  /** The provider makes and gives up machines. */
  readonly makes: boolean
  readonly begun: Begun | undefined
}

/** Pure. `allowed`: services that may stop meanwhile. */
export function planReplacement({ picture, host, power, makes, begun }: ReplacementFacts, allowed: ReadonlySet<string> = new Set()): ReplacementPlan {
  const seen = known(picture, host.name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, seen)
  const verdict = weighReplacement(picture, host.name, makes && power === 'absent', allowed)
  const gone = begun?.machineGone === true
  const whole = seen.answers && (!host.isHive || node?.state === 'ready')
  const swarmless = host.isHive && picture.nodes === undefined ? ['no manager of the swarm answers: hivecoord swarm recover'] : []
  const refusals = gone
    ? swarmless
    : [...(whole ? [`${host.name} answers as the host that it was: hivecoord deploy brings it to what the inventory says`] : []), ...objections(verdict)]
  const discards = makes && !gone && power !== 'absent'
  const atRisk = gone ? [] : verdict.reasons.filter(({ severity, about }) => severity === 'stops' && about.kind === 'volume').map(({ about }) => about.name)
  return {
    host: host.name,
    begun,
    verdict,
    refusals,
    atRisk,
    discards,
    steps: [
      ...(host.isHive && !gone
        ? [seen.answers && node !== undefined ? 'its tasks are moved away, and it leaves the swarm' : 'its old node is removed from the swarm']
        : []),
      ...(discards ? ['its machine is given up, with all that is on its own disk'] : []),
      ...(gone ? [] : ['its ssh key is forgotten, its certificate revoked']),
      makes ? 'a new machine is made, with an agent' : 'whoever answers ssh at its address is taken for the new machine, and gets an agent',
      ...(host.isRepository ? ['all phases of a deploy, so that it is the repository server again'] : []),
      ...(host.isHive ? ['it joins the swarm, its copies of volumes are filled, it gets its labels and images'] : []),
      'looked at: agent, certificate, node, copies, plan',
    ],
  }
}

/** Why a host can't be added: it is part of the site. undefined: it can. Pure. */
export function partAlready({ picture, host }: Pick<ReplacementFacts, 'picture' | 'host'>): HiveError | undefined {
  const seen = known(picture, host.name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, seen)
  const hint = {
    host: host.name,
    hint: `hivecoord deploy brings it to what the inventory says; where its machine is dead: hivecoord host replace ${seen.shortName}`,
  }
  if (host.isHive && picture.nodes === undefined)
    return new HiveError('blocked', 'no manager of the swarm answers: hivecoord doctor tells why', { host: host.name })
  if (host.isHive ? node !== undefined : seen.answers) return new HiveError('blocked', `${host.name} is part of the site already`, hint)
  return undefined
}

export interface ReplaceInput extends DrainInput {
  readonly host: Host
  readonly facts: () => Promise<ReplacementFacts>
  readonly state: StageState
  /** Volumes whose last valid copy may go. */
  readonly given: ReadonlySet<string>
  readonly work: ReplacementWork
  readonly now: () => Date
}

/** What is done beside the swarm. */
export interface ReplacementWork {
  /** Serial numbers of the host's agent certificates ever issued. */
  certificates(): readonly string[]
  /** undefined: hosts are made by other means. */
  readonly discard: (() => Promise<void>) | undefined
  /** Ssh keys and certificates of the old machine. */
  forget(): Promise<void>
}

/** All up to the new machine; under the stage's lock. Throws HiveError 'blocked' where it is refused. Idempotent. */
export async function giveUpMachine(input: ReplaceInput): Promise<void> {
  const { host, state, work, forced, given, allowed, emit, now, operations } = input
  const plan = planReplacement(await input.facts(), allowed)
  refuse(plan, { forced, given })
  if (plan.begun?.machineGone === true) return
  const told = { host: host.name, reason: '' }
  const picture = await operations.look()
  const seen = known(picture, host.name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, seen)
  const begun: Begun = plan.begun ?? {
    since: now().toISOString(),
    certificates: work.certificates(),
    availability: node?.availability ?? 'active',
    machineGone: false,
  }
  state.set(beginning(host.name), begun)
  if (host.isHive)
    await tellStep(emit, { ...told, stepId: `replace/node@${host.name}`, title: 'its old node leaves the swarm' }, () => leave(input, picture, begun))
  if (work.discard !== undefined) await tellStep(emit, { ...told, stepId: `replace/machine@${host.name}`, title: 'its machine is given up' }, work.discard)
  await work.forget()
  state.set(beginning(host.name), { ...begun, machineGone: true })
}

export function refuse(
  { host, refusals, atRisk, begun, verdict }: ReplacementPlan,
  { forced, given }: { readonly forced: ReadonlySet<string>; readonly given: ReadonlySet<string> },
): void {
  const log = verdict.reasons.filter(({ severity }) => severity === 'stops').flatMap(({ evidence }) => evidence)
  const lost = atRisk.filter((name) => !given.has(name))
  // What is gone for good is no matter of course: the volume is named, too.
  if (lost.length > 0)
    throw new HiveError('blocked', `the last valid copy of ${lost.join(', ')} may be on ${host}: ${refusals.join('; ')}`, {
      host,
      hint: `bring the host, or another one with a copy, back; where that is lost for good: --force ${host} --lose ${lost.join(',')}`,
      log,
    })
  if (refusals.length === 0 || (forced.has(host) && begun?.machineGone !== true)) return
  throw new HiveError('blocked', `${host} is not replaced: ${refusals.join('; ')}`, {
    host,
    hint: begun?.machineGone === true ? 'the same command again goes on' : `--force ${host} does it in spite of that`,
    log,
  })
}

/** Every node of its name goes: there is none of the new machine yet. */
async function leave(input: ReplaceInput, picture: SitePicture, begun: Begun): Promise<void> {
  const { host, state, operations, emit } = input
  const seen = known(picture, host.name)
  const nodes = (picture.nodes ?? []).filter(({ name }) => isNodeOf(host, name))
  for (const node of nodes) keptLabels(state, host.name).add(lasting(node.labels))
  const current = nodes.find(({ state: now }) => now === 'ready')
  if (current !== undefined && seen.answers) {
    await drainNode(input, picture, seen, { availability: begun.availability }).catch((error: unknown) => {
      if (!input.forced.has(host.name) || input.signal.aborted) throw error
      emit({ code: 'warning', message: `${host.name} is not drained: ${error instanceof Error ? error.message : String(error)}` })
    })
  }
  for (const { id, role, reachability } of nodes) if (role === 'manager' && reachability !== '') await operations.setRole(id, 'worker')
  // A machine that stays must not go on as the member that it was.
  if (seen.answers && current !== undefined && input.work.discard === undefined)
    await awaitProgress(`${host.name} leaves the swarm`, async () => operations.leave(host.name).then(() => ({ done: undefined })), {
      ...input,
      host: host.name,
    })
  for (const { id } of nodes) await operations.removeNode(id)
}

/** The new node has what the old one had; under the stage's lock. */
export async function inherit({ host, state, operations }: Pick<ReplaceInput, 'host' | 'state' | 'operations'>): Promise<void> {
  if (!host.isHive) return
  const { nodes = [], hosts } = await operations.look()
  const seen = hosts.find(({ name }) => name === host.name)
  const node = seen === undefined ? undefined : nodeOf(nodes, seen)
  if (node === undefined) throw new HiveError('not-converged', `${host.name} is no node of the swarm`, { host: host.name })
  const kept = keptLabels(state, host.name)
  for (const [label, value] of Object.entries(kept.get())) if (node.labels[label] === undefined) await operations.setLabel(node.id, label, value)
  const availability = begunIn(state, host.name)?.availability ?? 'active'
  if (availability !== 'active' && node.availability === 'active') await operations.setAvailability(host.name, availability)
  kept.clear()
}

export interface Seen {
  readonly picture: SitePicture
  /** Serial number of the certificate that its agent shows; undefined: it does not answer. */
  readonly certificate: string | undefined
  /** What its plan leaves open, a line each. */
  readonly open: readonly string[]
}

/** What is missing before the host counts as replaced; empty: nothing. Pure. */
export function notReplaced({ picture, certificate, open }: Seen, host: Pick<Host, 'name' | 'isHive'>, begun: Begun): readonly string[] {
  const seen = known(picture, host.name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, seen)
  return [
    ...(certificate === undefined
      ? ['its agent does not answer']
      : begun.certificates.includes(certificate)
        ? ['its agent shows the certificate of the old machine']
        : []),
    ...(host.isHive && picture.nodes !== undefined && node === undefined ? ['it is no node of the swarm'] : []),
    ...notBack(picture, seen, new Set(picture.volumes.map(({ name }) => name))),
    ...picture.volumes.flatMap((volume) => notFilled(volume, host.name)),
    ...open.map((line) => `its plan: ${line}`),
  ]
}

/** What its part of a volume lacks; hosts that do not have the volume up, as others that are to be replaced, are not waited for. */
function notFilled({ name, hosts, diskful }: VolumeStates, host: string): readonly string[] {
  if (!hosts.has(host)) return []
  const seen = hosts.get(host)
  if (seen === undefined) return [`${host} does not tell of ${name}`]
  const up = [...hosts].flatMap(([one, state]) => (one !== host && state?.status !== undefined ? [one] : []))
  const device = seen.status?.devices[0]
  if (seen.status === undefined || device === undefined) return up.length === 0 ? [] : [`${name} is not up on ${host}`]
  if (diskful.has(host) && device.diskState !== 'UpToDate') return [`the copy of ${name} on ${host} is ${device.diskState}`]
  const broken = seen.status.connections.filter((one) => one.state !== 'Connected' && up.some((peer) => sameHost(peer, one.name)))
  if (broken.length > 0) return [`${name} on ${host} is ${broken.map(({ name: peer, state }) => `${state} to ${peer}`).join(', ')}`]
  return device.quorum ? [] : [`${name} has no quorum on ${host}`]
}

/** Waits until nothing is missing, then forgets what was begun. Rejects with 'not-converged'. */
export async function awaitReplaced(
  input: Pick<ReplaceInput, 'host' | 'state' | 'patience' | 'clock' | 'emit' | 'signal'> & { readonly see: () => Promise<Seen> },
): Promise<void> {
  const { host, state, emit } = input
  const begun = begunIn(state, host.name)
  if (begun !== undefined)
    await tellStep(emit, { host: host.name, stepId: `replace/verify@${host.name}`, title: 'it is whole again', reason: '' }, () =>
      awaitProgress(
        `${host.name} is whole`,
        async () => {
          const seen = await input.see()
          const missing = notReplaced(seen, host, begun)
          return missing.length === 0 ? { done: undefined } : { doubt: missing.join('; '), measure: measureOf(seen.picture) }
        },
        { ...input, host: host.name, told: (doubt) => emit({ code: 'notice', message: `${host.name} waits: ${doubt}` }) },
      ),
    )
  state.set(beginning(host.name), undefined)
}
