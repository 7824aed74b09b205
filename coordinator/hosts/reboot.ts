/**
 * Restarting hosts of a running site, one at a time.
 *
 * - Hosts outside the swarm first, then its workers, then managers, the leader of that moment last.
 * - Before anything is touched the guard is asked for each host; before each host's turn, and again when it is drained, for that host.
 * - A host is marked with the boot that is to end, drained, restarted, waited for until it runs another boot, is ready in the swarm and has its volumes
 *   UpToDate; then it is let in again, and the next one comes when all services run as before.
 * - The first doubt ends it: the host gets its availability back, and all marks go. What is done stays.
 * - A coordinator that was killed leaves marks: the same command goes on where it was, and restarts no host twice.
 */
import { HiveError, messageOf } from '../../proto/errors.ts'
import { rollingOrder } from '../bootstrap/roll-agents.ts'
import { reportOf } from '../client/errors.ts'
import { type HostPicture, nodeOf, type SitePicture } from '../guard/picture.ts'
import { weighLoss } from '../guard/weigh-loss.ts'
import type { Host } from '../inventory/site.ts'
import { askGuard, refused } from './ask-guard.ts'
import { awaitProgress } from './await-progress.ts'
import { awaitDrained, type DrainInput, known, placed, undoDeadline } from './drain.ts'
import { begunByDrill, isDrill, isUnderWay, type Mark, markOf, writeMark } from './marks.ts'
import type { HostOperations } from './operations.ts'
import { behindOf, measureOf, notBack, notWholeOn, runningOf } from './settled.ts'

export interface RebootInput extends DrainInput {
  /** In the inventory's order. */
  readonly hosts: readonly Host[]
  /** Of this command, for marks. */
  readonly run: string
  /** For the hosts' logs. */
  readonly reason: string
  /** The command that goes on with hosts that are left: "host reboot". */
  readonly command?: string
  /** Done while a host is drained, before it restarts; the same again comes to the same end. Default: nothing. */
  readonly work?: (host: Host) => Promise<void>
  /** needed: only where the host says so after `work`; never: it is let in again without. Default: always. */
  readonly restart?: 'always' | 'needed' | 'never'
}

export interface Rebooted {
  /** Inventory names in the order in which they were done, also those that a killed command had begun. */
  readonly rebooted: readonly string[]
  /** Those of them that work was done on, and that did not restart. */
  readonly withoutRestart: readonly string[]
  /** By an earlier command that was killed: left alone now. */
  readonly before: readonly string[]
}

/** Throws one HiveError for the host at which it stopped, that says which hosts are restarted and which are not. */
export async function rebootOneByOne(input: RebootInput): Promise<Rebooted> {
  const { operations, hosts, emit } = input
  const picture = await operations.look()
  for (const seen of picture.hosts) {
    const mark = markIn(picture, seen)
    if (mark !== undefined && isDrill(mark)) throw begunByDrill(seen)
  }
  for (const { name } of begunElsewhere(picture, hosts))
    emit({
      code: 'warning',
      message: `a restart of ${name} was begun and not ended; hivecoord host reboot ${name} does that, hivecoord host undrain ${name} gives it up`,
    })
  const before = hosts.filter((host) => wasDone(picture, host)).map(({ name }) => name)
  if (before.length > 0)
    emit({ code: 'notice', message: `restarted already by the command that was killed, and that this one goes on with: ${before.join(', ')}` })
  let left = hosts.filter(({ name }) => !before.includes(name))
  await checkAll(input, picture, left)
  const rebooted: string[] = []
  const withoutRestart: string[] = []
  let at = left[0]
  try {
    await markAll(input, picture, left)
    while (left.length > 0) {
      const now = await operations.look()
      at = left.find((host) => isUnderWay(markIn(now, known(now, host.name)))) ?? rollingOrder(left, now.nodes)[0]
      if (at === undefined) break
      const { name } = at
      if ((await inTurn(input, at, markIn(now, known(now, name)))) === 'stayed') withoutRestart.push(name)
      rebooted.push(name)
      left = left.filter((host) => host.name !== name)
    }
  } catch (error) {
    throw at === undefined ? error : await stopped(input, at, error, rebooted, left)
  }
  await clearMarks(operations, hosts)
  return { rebooted, withoutRestart, before }
}

const markIn = ({ nodes = [] }: SitePicture, host: HostPicture): Mark | undefined => markOf(nodes, host)

/** Its mark says so; or it has none any more, and that of another host of the same command says that its end had come. */
function wasDone(picture: SitePicture, { name, shortName }: Host): boolean {
  const own = markIn(picture, known(picture, name))
  if (own !== undefined) return own.boot === 'done'
  return picture.hosts.some((host) => {
    const mark = markIn(picture, host)
    return mark?.boot === 'done' && mark.hosts.includes(shortName)
  })
}

/** Rejects before anything is touched. With --wait what is not safe now may become so. */
async function checkAll({ operations, allowed, forced, wait, work }: RebootInput, picture: SitePicture, left: readonly Host[]): Promise<void> {
  const underWay = left.filter((host) => isUnderWay(markIn(picture, known(picture, host.name))))
  const others = left.filter((one) => !underWay.includes(one))
  // Some answer by a package manager that takes its time: they are asked beside one another.
  const asked = await Promise.allSettled(others.map(({ name }) => assertRestartable(operations, name, forced, work !== undefined)))
  for (const [index, { name }] of others.entries()) {
    const answer = asked[index]
    if (answer?.status === 'rejected') throw answer.reason
    // While one is on its way nobody can say yet what the others may do.
    if (wait || forced.has(name) || underWay.length > 0) continue
    const verdict = weighLoss(picture, { kind: 'host', host: name }, allowed)
    if (!verdict.yes) throw refused(verdict, { host: name }, 'restarting')
  }
}

/** `worked`: it is worked on before it restarts, which may set right what would keep it from starting whole. */
async function assertRestartable(operations: HostOperations, host: string, forced: ReadonlySet<string>, worked: boolean): Promise<void> {
  if ((await operations.bootOf(host)) === undefined)
    throw new HiveError('unreachable', `${host} does not answer: it can't be restarted in order`, { host, hint: 'hivecoord status' })
  if (!worked) await assertBoots(operations, host, forced)
}

/** Rejects where the host would be less than it is once it has started anew. */
async function assertBoots(operations: HostOperations, host: string, forced: ReadonlySet<string>): Promise<void> {
  if (forced.has(host)) return
  const { doubts } = await operations.restartAdvice(host)
  if (doubts.length > 0)
    throw new HiveError('blocked', `${host} is not restarted: ${doubts.join('; ')}`, {
      host,
      hint: `hivecoord host update ${host} --kernel brings a module, or keeps the kernel that runs; --force ${host} restarts it all the same`,
    })
}

/** What is to be done is written down before it is begun. Nothing where there is no swarm to tell it. */
async function markAll({ operations, run }: RebootInput, picture: SitePicture, left: readonly Host[]): Promise<void> {
  const { nodes } = picture
  if (nodes === undefined) return
  const hosts = left.map(({ shortName }) => shortName)
  for (const host of left) {
    const seen = known(picture, host.name)
    const node = nodeOf(nodes, seen)
    if (markIn(picture, seen) !== undefined || (host.isHive && node === undefined)) continue
    await operations.setMark(host.name, writeMark({ run, boot: 'todo', availability: node?.availability ?? 'active', hosts }))
  }
}

/** Where a restart of hosts that are not among these was begun and not ended, their marks tell it on; else none is left. */
async function clearMarks(operations: HostOperations, hosts: readonly Host[]): Promise<void> {
  const picture = await operations.look()
  const marked = picture.hosts.filter((host) => markIn(picture, host) !== undefined)
  const ours = new Set(hosts.map(({ name }) => name))
  const all = begunElsewhere(picture, hosts).length === 0
  for (const { name } of marked.filter((host) => all || ours.has(host.name))) await operations.setMark(name, '')
}

const begunElsewhere = (picture: SitePicture, hosts: readonly Host[]): readonly HostPicture[] =>
  picture.hosts.filter((host) => {
    const mark = markIn(picture, host)
    return mark !== undefined && mark.boot !== 'done' && !hosts.some(({ name }) => name === host.name)
  })

async function inTurn(input: RebootInput, host: Host, mark: Mark | undefined): Promise<'restarted' | 'stayed'> {
  const { operations, emit } = input
  const about = { phase: 'setup-hosts', host: host.name, stepId: `host/reboot@${host.name}`, title: input.work === undefined ? 'restart' : 'update' } as const
  const started = input.clock.now()
  const log = (line: string): void => emit({ code: 'step.log', ...about, line })
  emit({ code: 'step.started', ...about })
  let result: 'restarted' | 'stayed'
  try {
    const boot = await operations.bootOf(host.name)
    const gone = isUnderWay(mark) && mark.boot !== boot
    if (gone) log('has been restarted, or is on its way, by the command that this one goes on with')
    const left: Leaving = gone
      ? { mark, boot: mark.boot, restarts: true, member: host.isHive, excused: new Set(), wanted: undefined }
      : await leave(input, host, mark, boot, log)
    await comeBack(input, host, left, log)
    result = left.restarts ? 'restarted' : 'stayed'
  } catch (error) {
    emit({ code: 'step.finished', ...about, result: 'failed', reason: '', milliseconds: input.clock.now() - started, error: reportOf(error, host.name) })
    throw error
  }
  emit({
    code: 'step.finished',
    ...about,
    result: 'changed',
    reason: result === 'stayed' ? 'needs no restart' : '',
    milliseconds: input.clock.now() - started,
    error: undefined,
  })
  return result
}

interface Leaving {
  /** undefined: there is no swarm that could tell it on. */
  readonly mark: Mark | undefined
  /** The one that is to end. */
  readonly boot: string
  readonly restarts: boolean
  /** Of the swarm. */
  readonly member: boolean
  /** Volumes that were not whole on the host before. */
  readonly excused: ReadonlySet<string>
  /** Running tasks of each service before; undefined: not known, as many as there should be. */
  readonly wanted: ReadonlyMap<string, number> | undefined
}

async function leave(input: RebootInput, host: Host, mark: Mark | undefined, boot: string | undefined, log: (line: string) => void): Promise<Leaving> {
  const { operations, allowed, forced, reason, work, restart = 'always' } = input
  const loss = { kind: 'host', host: host.name } as const
  if (boot === undefined) throw new HiveError('unreachable', `${host.name} does not answer`, { host: host.name })
  const picture = await askGuard(input, loss, 'restarting')
  const seen = known(picture, host.name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, seen)
  const leaving: Omit<Leaving, 'restarts'> = {
    mark: mark === undefined ? undefined : { ...mark, boot },
    boot,
    member: node !== undefined,
    excused: new Set(notWholeOn(picture, seen).keys()),
    // One that was under way may be drained already.
    wanted: isUnderWay(mark) ? undefined : runningOf(picture),
  }
  await operations.settle(host.name)
  if (leaving.mark !== undefined && !isUnderWay(mark)) await operations.setMark(host.name, writeMark(leaving.mark))
  if (node !== undefined) {
    log('moves its tasks away')
    await operations.setAvailability(host.name, 'drain')
    await awaitDrained(input, seen, placed(picture, seen, allowed))
  }
  if (work !== undefined) {
    log('is drained')
    await work(host)
  }
  const why = restart === 'needed' ? (await operations.restartAdvice(host.name)).reasons : []
  if (restart === 'never' || (restart === 'needed' && why.length === 0)) return { ...leaving, restarts: false }
  // What was safe with its tasks may not be so now: others moved, too.
  if (node !== undefined) await askGuard(input, loss, 'restarting')
  await assertBoots(operations, host.name, forced)
  log(`restarts (boot ${boot})${why.length === 0 ? '' : `: ${why.join('; ')}`}`)
  await operations.reboot(host.name, boot, reason)
  return { ...leaving, restarts: true }
}

async function comeBack(input: RebootInput, host: Host, left: Leaving, log: (line: string) => void): Promise<void> {
  const { operations, allowed } = input
  const waiting = { ...input, host: host.name, told: log }
  await awaitProgress(
    `${host.name} comes back`,
    async () => {
      const boot = await operations.bootOf(host.name)
      if (boot === undefined) return { doubt: 'its agent does not answer yet' }
      if (left.restarts && boot === left.boot) return { doubt: 'it still runs the boot that is to end' }
      const picture = await operations.look()
      const missing = notBack(picture, known(picture, host.name), left.excused)
      return missing.length === 0 ? { done: undefined } : { doubt: missing.join('; '), measure: measureOf(picture) }
    },
    waiting,
  )
  const done = async (): Promise<void> => {
    if (left.mark !== undefined) await operations.setMark(host.name, writeMark({ ...left.mark, boot: 'done' }))
  }
  const availability = left.mark?.availability ?? 'active'
  if (!left.member) return done()
  await operations.setAvailability(host.name, availability)
  log(`is back, ${availability}`)
  await awaitProgress(
    `services run as before ${host.name} was restarted`,
    async () => {
      const picture = await operations.look()
      const wanted = left.wanted ?? new Map((picture.services ?? []).map(({ name, desired }) => [name, desired]))
      const behind = behindOf(picture, new Map([...wanted].filter(([name]) => !allowed.has(name) || left.wanted !== undefined)))
      return behind.length === 0 ? { done: undefined } : { doubt: behind.join('; '), measure: measureOf(picture) }
    },
    waiting,
  )
  await done()
}

/** What was begun is put back as far as that is possible; the error says where it is not. */
async function stopped(input: RebootInput, host: Host, cause: unknown, rebooted: readonly string[], rest: readonly Host[]): Promise<HiveError> {
  const reason = input.signal.aborted && !(input.signal.reason instanceof HiveError) ? new HiveError('cancelled', 'interrupted') : cause
  const known = reason instanceof HiveError ? reason : undefined
  const still = await undo(input, host)
  const names = (hosts: readonly string[]): string => (hosts.length === 0 ? 'none' : hosts.join(', '))
  const left = rest.map(({ shortName }) => shortName)
  const done = input.hosts.filter(({ name }) => rebooted.includes(name)).map(({ shortName }) => shortName)
  return new HiveError(
    known?.code ?? 'internal',
    `stopped at ${host.name}: ${messageOf(reason)} (restarted: ${names(done)}; not: ${names(left)})${still === '' ? '' : `; ${still}`}`,
    {
      host: host.name,
      stepId: `host/reboot@${host.name}`,
      hint: `${known?.hint === undefined ? '' : `${known.hint}; `}hivecoord ${input.command ?? 'host reboot'} ${left.join(' ')} goes on with those that are left`,
      log: known?.log ?? [],
      cause,
    },
  )
}

/** Answers what could not be put back, '' where all was. Managers may elect a leader meanwhile. */
async function undo({ operationsWith, hosts, clock }: RebootInput, at: Host): Promise<string> {
  const signal = AbortSignal.timeout(undoDeadline)
  const operations = operationsWith(signal)
  const putBack = async (): Promise<{ readonly done: undefined }> => {
    const { nodes, hosts: seen } = await operations.look()
    if (nodes === undefined) throw new HiveError('unreachable', 'no manager of the swarm answers')
    for (const host of hosts) {
      const picture = seen.find(({ name }) => name === host.name)
      const mark = picture === undefined ? undefined : markOf(nodes, picture)
      if (mark === undefined) continue
      if (isUnderWay(mark) && host.isHive) await operations.setAvailability(host.name, mark.availability)
      await operations.setMark(host.name, '')
    }
    return { done: undefined }
  }
  try {
    await awaitProgress('all is put back', putBack, { patience: undoDeadline / 2, signal, clock })
    return ''
  } catch (error) {
    return `${at.shortName} may still be drained (${messageOf(error)}): hivecoord host undrain ${at.shortName}`
  }
}
