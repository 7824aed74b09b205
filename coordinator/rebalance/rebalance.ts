/** Services are spread again, one after the other; each is whole before the next one moves. */
import { HiveError } from '../../proto/errors.ts'
import type { Emit } from '../events.ts'
import type { SitePicture } from '../guard/picture.ts'
import { awaitProgress, type Clock } from '../hosts/await-progress.ts'
import { behindOf, measureOf, runningOf } from '../hosts/settled.ts'
import { decideRebalance, type Kept, type Move } from './decide.ts'

/** All reject with HiveError where it could not be done. */
export interface RebalanceOperations {
  look(): Promise<SitePicture>
  /** Docker's word for how far the last change of a service is; '': it has not begun. */
  updateState(service: string): Promise<string>
  /** Replaces all tasks of a service, as its update policy says. */
  restart(service: string): Promise<void>
}

export interface RebalanceInput {
  readonly operations: RebalanceOperations
  /** Only these, and although they stop meanwhile; empty: all. */
  readonly named: ReadonlySet<string>
  /** Milliseconds without progress. */
  readonly patience: number
  readonly clock: Clock
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface Rebalanced {
  /** Services that were moved, in that order, with their tasks by node afterwards. */
  readonly moved: readonly { readonly service: string; readonly tasks: ReadonlyMap<string, number> }[]
  readonly kept: readonly Kept[]
}

/**
 * Each service moves at most once; after each one it is decided anew from what is then. Rejects with HiveError 'blocked' where no manager tells what there is,
 * and with 'not-converged' at the first service that does not become whole again: what was moved before stays, and nothing else is touched.
 */
export async function rebalance(input: RebalanceInput): Promise<Rebalanced> {
  const { operations, named, emit } = input
  const moved: Rebalanced['moved'][number][] = []
  const done = new Set<string>()
  for (;;) {
    const picture = await operations.look()
    if (picture.nodes === undefined)
      throw new HiveError('blocked', 'no manager of the swarm answers: nothing can be moved', { hint: 'hivecoord doctor tells why' })
    const decided = decideRebalance(picture, named)
    const move = decided.moves.find(({ service }) => !done.has(service))
    if (move === undefined) return { moved, kept: decided.kept }
    done.add(move.service)
    emit({ code: 'notice', message: `${move.service} moves: ${move.why}` })
    await moveOne(input, move, picture)
    const after = (await operations.look()).services?.find(({ name }) => name === move.service)
    moved.push({ service: move.service, tasks: countsOf(after?.tasks ?? []) })
  }
}

async function moveOne({ operations, patience, clock, emit, signal }: RebalanceInput, { service }: Move, before: SitePicture): Promise<void> {
  const wanted = runningOf(before)
  await operations.restart(service)
  await awaitProgress(
    `${service} is whole again`,
    async () => {
      const state = await operations.updateState(service)
      if (/paused|rollback/.test(state))
        return { done: new HiveError('not-converged', `docker stopped the move of ${service} (${state}): its tasks fail`, { hint: `hivecoord ps ${service}` }) }
      const picture = await operations.look()
      const behind = behindOf(picture, wanted)
      if (state === 'completed' && behind.length === 0) return { done: undefined }
      return {
        doubt: behind.length === 0 ? `its tasks are being replaced${state === '' ? '' : ` (${state})`}` : behind.join('; '),
        measure: measureOf(picture),
      }
    },
    { patience, clock, signal, told: (doubt) => emit({ code: 'notice', message: `${service}: ${doubt}` }) },
  ).then((failure) => {
    if (failure !== undefined) throw failure
  })
}

function countsOf(tasks: readonly { readonly node: string; readonly wanted: boolean }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { node, wanted } of tasks) if (wanted) counts.set(node, (counts.get(node) ?? 0) + 1)
  return counts
}
