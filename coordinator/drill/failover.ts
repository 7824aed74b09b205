/**
 * A failover that is made to be measured: the host under a service goes, the service comes up elsewhere, the host comes back.
 *
 * - Never in production. The guard is asked for the host as for a restart (or a drain, where its power can't be switched).
 * - The host is marked (hosts/marks.ts) before it goes, and the mark is taken away when it is back: a command that was killed leaves it.
 * - It goes by its power where the provider can switch that, else by a drain.
 * - It comes back whatever happens in between: a doubt, Ctrl-C. What a killed command left is put back before anything else, by the same command or `undo`.
 * - It ends when the host is a whole member again and all services run as before.
 */
import { HiveError, messageOf } from '../../proto/errors.ts'
import { type HostPicture, type NodePicture, nodeOf, type ServicePicture, type SitePicture } from '../guard/picture.ts'
import { weighLoss } from '../guard/weigh-loss.ts'
import { askGuard } from '../hosts/ask-guard.ts'
import { awaitProgress } from '../hosts/await-progress.ts'
import { type DrainInput, known, placed, undoDeadline } from '../hosts/drain.ts'
import { drillPrefix, isDrill, type Mark, markOf, writeMark } from '../hosts/marks.ts'
import { behindOf, measureOf, notBack, notWholeOn, runningOf } from '../hosts/settled.ts'
import { type Outage, outageOf } from './outage.ts'
import { type Probe, type Sampling, sample } from './probe.ts'

/** What switches a host's power. Idempotent. */
export type Switch = (host: string, action: 'off' | 'on', signal: AbortSignal) => Promise<void>

export interface DrillInput extends DrainInput {
  readonly stage: string
  readonly service: string
  /** Of this command. */
  readonly run: string
  /** undefined: the host is drained instead. */
  readonly power: Switch | undefined
  /** As `look`, without the host that is away: who waits for its answer waits long. */
  readonly lookWithout: (host: string) => Promise<SitePicture>
  /** How the service is asked from outside; undefined: it is taken to answer as long as a task of it runs. */
  readonly probe: Probe | undefined
}

/** Milliseconds from the moment the host went, but for `whole`. */
export interface Drilled {
  readonly service: string
  readonly host: string
  readonly way: 'power' | 'drain'
  /** How it was asked. */
  readonly probe: string
  readonly outage: Outage
  /** The swarm called the host down; undefined: it was told (a drain). */
  readonly detected: number | undefined
  /** All tasks that have a place elsewhere ran there; undefined: the service has none. */
  readonly restarted: number | undefined
  /** From the moment the host was let come back until it was whole and all services ran as before. */
  readonly whole: number
}

function drillOf(nodes: readonly NodePicture[], host: HostPicture): Mark | undefined {
  const mark = markOf(nodes, host)
  return mark !== undefined && isDrill(mark) ? mark : undefined
}

export interface Chosen {
  readonly host: HostPicture
  readonly service: ServicePicture
}

/** The host that goes: one where a task of the service runs, not the leader where there is a choice. Throws HiveError 'not-found' and 'blocked'. */
export function chosenFor(picture: SitePicture, name: string): Chosen {
  const { services, nodes = [], hosts } = picture
  if (services === undefined) throw new HiveError('unreachable', 'no manager of the swarm answers', { hint: 'hivecoord status' })
  const service = services.find((one) => one.name === name)
  if (service === undefined) throw new HiveError('not-found', `the swarm has no service ${name}`, { hint: 'hivecoord deploy makes it' })
  const running = service.tasks.filter(({ state, wanted }) => wanted && state === 'running').map(({ node }) => node)
  const candidates = hosts.flatMap((host) => {
    const node = nodeOf(nodes, host)
    return node?.state === 'ready' && running.includes(node.name) ? [{ host, leads: node.leader }] : []
  })
  const host = (candidates.find(({ leads }) => !leads) ?? candidates[0])?.host
  if (host === undefined) throw new HiveError('blocked', `${name} runs nowhere: there is no failover to measure`, { hint: 'hivecoord ps' })
  return { host, service }
}

/** What the guard weighs for it. */
export const lossOf = (host: string, power: Switch | undefined) => ({ kind: power === undefined ? 'tasks' : 'host', host }) as const

export function refuseStage(stage: string): void {
  if (stage === 'production')
    throw new HiveError('blocked', 'a drill takes a host away: not in production', { hint: 'private and staging stages are for that' })
}

/**
 * Rejects with HiveError 'blocked' in production and where the guard says no, 'not-converged' where the service or the host does not come back; the host
 * is put back in any case, as far as that is possible, and the error says where it is not.
 */
export async function drillFailover(input: DrillInput): Promise<Drilled> {
  refuseStage(input.stage)
  await undoDrill(input)
  const { operations, service: name, power, allowed, run, clock, emit } = input
  const { host } = chosenFor(await operations.look(), name)
  const loss = lossOf(host.name, power)
  const before = await askGuard(input, loss, 'taking away')
  const node = nodeOf(before.nodes ?? [], host)
  if (node === undefined) throw new HiveError('not-found', `${host.name} is not in the swarm`, { host: host.name })
  if (markOf(before.nodes ?? [], host) !== undefined)
    throw new HiveError('blocked', `a restart of ${host.name} was begun and not ended`, {
      host: host.name,
      hint: `hivecoord host reboot ${host.shortName} ends it, hivecoord host undrain ${host.shortName} gives it up`,
    })
  const boot = await operations.bootOf(host.name)
  if (boot === undefined) throw new HiveError('unreachable', `${host.name} does not answer`, { host: host.name })
  const wanted = placed(before, host, allowed).get(name)
  const running = runningOf(before)
  const excused = new Set(notWholeOn(before, host).keys())
  const { sampling, words } = await beginSampling(input, host)
  const tell = (message: string): void => emit({ code: 'notice', message })
  try {
    await operations.setMark(host.name, writeMark({ run: `${drillPrefix}${run}`, boot, availability: node.availability, hosts: [host.shortName] }))
    const gone = clock.now()
    let times: Pick<Drilled, 'detected' | 'restarted'>
    try {
      tell(power === undefined ? `${host.name} is drained` : `the power of ${host.name} is switched off`)
      if (power === undefined) await operations.setAvailability(host.name, 'drain')
      else await power(host.name, 'off', input.signal)
      times = await awaitElsewhere(input, host, gone, wanted)
      await awaitAnswers(input, sampling, gone)
    } catch (error) {
      const still = await putBackSoon(input)
      throw still === '' ? error : withMore(error, still)
    }
    const letBack = clock.now()
    tell(`${host.name} comes back`)
    const still = await putBackSoon(input)
    if (still !== '') throw new HiveError('not-converged', still, { host: host.name })
    await awaitWhole(input, host, excused, new Map([...running].filter(([one]) => !allowed.has(one) || one === name)))
    await sampling.stop()
    return {
      service: name,
      host: host.name,
      way: power === undefined ? 'drain' : 'power',
      probe: words,
      outage: outageOf(sampling.samples),
      ...times,
      whole: Math.round(clock.now() - letBack),
    }
  } finally {
    await sampling.stop()
  }
}

/**
 * Puts back what a drill that did not end took away; answers the hosts, in their names. Rejects with 'not-converged' where that does not come about.
 */
export async function undoDrill(input: Omit<DrillInput, 'service' | 'probe'>): Promise<readonly string[]> {
  const { operations, emit } = input
  const picture = await operations.look()
  const marked = picture.hosts.filter((host) => drillOf(picture.nodes ?? [], host) !== undefined)
  for (const { name } of marked) emit({ code: 'notice', message: `${name} is still away by a drill that did not end; it is put back` })
  if (marked.length === 0) return []
  await putBack(input, operations, input.signal)
  for (const host of marked) await awaitWhole(input, host, new Set(), new Map())
  return marked.map(({ name }) => name)
}

/** Power, availability and mark of whatever a drill has marked, in this order: killed in between, it is done again. */
async function putBack({ power, clock }: Pick<DrillInput, 'power' | 'clock'>, operations: DrillInput['operations'], signal: AbortSignal): Promise<void> {
  await awaitProgress(
    'the host is put back',
    async () => {
      const { nodes, hosts } = await operations.look()
      if (nodes === undefined) throw new HiveError('unreachable', 'no manager of the swarm answers')
      for (const host of hosts) {
        const mark = drillOf(nodes, host)
        if (mark === undefined) continue
        await power?.(host.name, 'on', signal)
        if (nodeOf(nodes, host)?.availability !== mark.availability) await operations.setAvailability(host.name, mark.availability)
        await operations.setMark(host.name, '')
      }
      return { done: undefined }
    },
    { patience: undoDeadline / 2, signal, clock },
  )
}

/** By a signal of its own, so that Ctrl-C does not keep a host away. '' where it was done. */
async function putBackSoon(input: DrillInput): Promise<string> {
  const signal = AbortSignal.timeout(undoDeadline)
  try {
    await putBack(input, input.operationsWith(signal), signal)
    return ''
  } catch (error) {
    return `the host may still be away (${messageOf(error)}): hivecoord drill failover --undo`
  }
}

function withMore(error: unknown, more: string): HiveError {
  const given = error instanceof HiveError ? error : undefined
  return new HiveError(given?.code ?? 'internal', `${messageOf(error)}; ${more}`, { host: given?.host, hint: given?.hint, log: given?.log ?? [], cause: error })
}

async function beginSampling(input: DrillInput, host: HostPicture): Promise<{ readonly sampling: Sampling; readonly words: string }> {
  const { probe, clock, signal, emit, service } = input
  if (probe !== undefined) {
    if (await probe.ask(signal)) return { sampling: sample(probe, clock, signal), words: probe.words }
    emit({ code: 'warning', message: `${service} does not answer on ${probe.words} from here: its tasks are looked at instead` })
  }
  const byTasks: Probe = {
    words: 'its tasks',
    ask: async () => runs(await input.lookWithout(host.name), service),
  }
  return { sampling: sample(byTasks, clock, signal), words: byTasks.words }
}

/** Of a host that is off swarm keeps saying for a while that its tasks run. */
const runs = (picture: SitePicture, service: string): boolean => {
  const silent = new Set(picture.hosts.filter(({ answers }) => !answers).map(({ shortName }) => shortName))
  const ready = new Set((picture.nodes ?? []).filter(({ name, state }) => state === 'ready' && !silent.has(name)).map(({ name }) => name))
  const tasks = picture.services?.find(({ name }) => name === service)?.tasks ?? []
  return tasks.some(({ node, state, wanted }) => wanted && state === 'running' && ready.has(node))
}

/** `wanted`: tasks that must run elsewhere; undefined: none has a place there. */
async function awaitElsewhere(
  input: DrillInput,
  host: HostPicture,
  gone: number,
  wanted: number | undefined,
): Promise<Pick<Drilled, 'detected' | 'restarted'>> {
  const { power, clock, service, lookWithout } = input
  let detected: number | undefined
  const restarted = await awaitProgress(
    `${service} runs without ${host.name}`,
    async () => {
      const picture = await lookWithout(host.name)
      const { nodes } = picture
      if (nodes === undefined) return { doubt: 'no manager of the swarm answers' }
      const node = nodeOf(nodes, host)
      if (power !== undefined && node?.state === 'ready') return { doubt: `the swarm has not missed ${host.name} yet` }
      if (power !== undefined) detected ??= Math.round(clock.now() - gone)
      if (wanted === undefined) return { done: undefined }
      const now = runningOf(picture, node?.name).get(service) ?? 0
      return now >= wanted
        ? { done: Math.round(clock.now() - gone) }
        : { doubt: `${service} runs with ${now} of ${wanted} elsewhere`, measure: measureOf(picture) }
    },
    { ...input, host: host.name },
  )
  return { detected, restarted }
}

/** A task that runs may take a while until it answers. */
async function awaitAnswers(input: DrillInput, { samples }: Sampling, gone: number): Promise<void> {
  await awaitProgress(
    `${input.service} answers`,
    async () => {
      const last = samples.at(-1)
      return last?.answered === true && last.at >= gone ? { done: undefined } : { doubt: 'it does not answer yet' }
    },
    input,
  )
}

async function awaitWhole(input: Omit<DrillInput, 'service' | 'probe'>, host: HostPicture, excused: ReadonlySet<string>, running: ReadonlyMap<string, number>) {
  const { operations } = input
  await awaitProgress(
    `${host.name} is a whole member again`,
    async () => {
      const picture = await operations.look()
      if (!known(picture, host.name).answers) return { doubt: `the agent of ${host.name} does not answer yet` }
      const missing = [...notBack(picture, host, excused), ...behindOf(picture, running)]
      return missing.length === 0 ? { done: undefined } : { doubt: missing.join('; '), measure: measureOf(picture) }
    },
    { ...input, host: host.name },
  )
}

/** What it would do, and what the guard says of it. Changes nothing. */
export function planDrill(picture: SitePicture, service: string, power: Switch | undefined, allowed: ReadonlySet<string>) {
  const { host } = chosenFor(picture, service)
  return { host: host.name, way: power === undefined ? ('drain' as const) : ('power' as const), verdict: weighLoss(picture, lossOf(host.name, power), allowed) }
}
