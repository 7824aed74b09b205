/** Takes a host's tasks away, and lets it have some again. */
import { HiveError } from '../../proto/errors.ts'
import { type HostPicture, type NodePicture, nodeOf, type SitePicture } from '../guard/picture.ts'
import { weighLoss } from '../guard/weigh-loss.ts'
import { askGuard, type GuardInput } from './ask-guard.ts'
import { awaitProgress } from './await-progress.ts'
import { begunByDrill, isDrill, markOf } from './marks.ts'
import type { HostOperations } from './operations.ts'
import { leftOn, measureOf, runningOf } from './settled.ts'

export interface DrainInput extends GuardInput {
  readonly operations: HostOperations
  /** The same under another signal: for what is put back after a doubt, and after Ctrl-C. */
  readonly operationsWith: (signal: AbortSignal) => HostOperations
}

/** Milliseconds in which what was taken out is let in again. */
export const undoDeadline = 90_000

/**
 * Returns when no task runs on the host any more, what has a place elsewhere runs there, and no volume is Primary here. Where that does not come about the
 * host is as it was before. Rejects as `askGuard` does, with 'not-converged' for tasks that do not go, and with 'not-found' for a host that is not in the
 * swarm.
 */
export async function drainHost(input: DrainInput, name: string): Promise<void> {
  const picture = await askGuard(input, { kind: 'tasks', host: name }, 'draining')
  const host = known(picture, name)
  const node = picture.nodes === undefined ? undefined : nodeOf(picture.nodes, host)
  if (node === undefined) throw new HiveError('not-found', `${name} is not in the swarm: nothing is to be moved`, { host: name })
  await drainNode(input, picture, host, node)
}

/** Returns when it is drained. Where that does not come about its availability is put back, and it rejects. */
export async function drainNode(
  input: DrainInput,
  picture: SitePicture,
  host: HostPicture,
  { availability }: Pick<NodePicture, 'availability'>,
): Promise<void> {
  const { operations, operationsWith, allowed } = input
  await operations.setAvailability(host.name, 'drain')
  try {
    await awaitDrained(input, host, placed(picture, host, allowed))
  } catch (error) {
    if (availability !== 'drain') await operationsWith(AbortSignal.timeout(undoDeadline)).setAvailability(host.name, availability)
    throw error
  }
}

/** Lets the host take tasks; a mark that a dead coordinator left goes, too. Rejects with HiveError 'blocked' where that is a drill's. */
export async function undrainHost(operations: HostOperations, name: string): Promise<void> {
  const picture = await operations.look()
  const host = known(picture, name)
  const mark = markOf(picture.nodes ?? [], host)
  if (mark !== undefined && isDrill(mark)) throw begunByDrill(host)
  if (host.isHive) await operations.setAvailability(name, 'active')
  if (mark !== undefined) await operations.setMark(name, '')
}

export function known(picture: SitePicture, name: string): HostPicture {
  const host = picture.hosts.find((one) => one.name === name)
  if (host === undefined) throw new HiveError('not-found', `the site has no host ${name}`)
  return host
}

/** Running tasks that there must be elsewhere, of the services that run on the host and have another place. */
export function placed(picture: SitePicture, host: HostPicture, allowed: ReadonlySet<string>): ReadonlyMap<string, number> {
  const { reasons } = weighLoss(picture, { kind: 'tasks', host: host.name }, allowed)
  const keeps = new Set(reasons.filter(({ severity, about }) => severity === 'keeps' && about.kind === 'service').map(({ about }) => about.name))
  const now = runningOf(picture)
  const moving = (picture.services ?? []).filter(({ name, mode }) => mode === 'replicated' && keeps.has(name))
  return new Map(moving.map(({ name, desired }) => [name, Math.min(desired, now.get(name) ?? 0)]))
}

export const awaitDrained = ({ operations, ...waiting }: DrainInput, host: HostPicture, wanted: ReadonlyMap<string, number>): Promise<void> =>
  awaitProgress(
    `${host.name} is drained`,
    async () => {
      const picture = await operations.look()
      const left = leftOn(picture, host, wanted)
      return left.length === 0 ? { done: undefined } : { doubt: left.join('; '), measure: measureOf(picture) }
    },
    { ...waiting, host: host.name },
  )
