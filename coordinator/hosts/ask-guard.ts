/** The guard before a host is taken out: asked once, or until it says yes. */
import { HiveError } from '../../proto/errors.ts'
import type { Emit } from '../events.ts'
import type { SitePicture } from '../guard/picture.ts'
import { objections, type Verdict } from '../guard/verdict.ts'
import { type Loss, weighLoss } from '../guard/weigh-loss.ts'
import { awaitProgress, type Clock } from './await-progress.ts'
import type { HostOperations } from './operations.ts'
import { measureOf } from './settled.ts'

export interface GuardInput {
  readonly operations: Pick<HostOperations, 'look'>
  /** Services that may be interrupted. */
  readonly allowed: ReadonlySet<string>
  /** Hosts that are taken out whatever the guard says. */
  readonly forced: ReadonlySet<string>
  /** A no is waited out as long as something moves. */
  readonly wait: boolean
  /** Milliseconds without progress. */
  readonly patience: number
  readonly clock: Clock
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Rejects with HiveError 'blocked' that has the guard's sentences where it says no, 'not-converged' where waiting did not help. */
export async function askGuard(input: GuardInput, loss: Loss, verb: string): Promise<SitePicture> {
  const { operations, allowed, forced, wait, emit } = input
  const first = await operations.look()
  const verdict = weighLoss(first, loss, allowed)
  if (verdict.yes) return first
  if (forced.has(loss.host)) {
    for (const text of objections(verdict)) emit({ code: 'warning', message: `${verb} ${loss.host} all the same: ${text}` })
    return first
  }
  if (!wait) throw refused(verdict, loss, verb)
  return awaitProgress(
    `${verb} ${loss.host}`,
    async () => {
      const picture = await operations.look()
      const now = weighLoss(picture, loss, allowed)
      return now.yes ? { done: picture } : { doubt: objections(now).join('; '), measure: measureOf(picture) }
    },
    { ...input, host: loss.host, told: (doubt) => emit({ code: 'notice', message: `${loss.host} waits: ${doubt}` }) },
  )
}

export function refused(verdict: Verdict, { host }: Pick<Loss, 'host'>, verb: string, waits = true): HiveError {
  const interrupted = verdict.reasons.filter(({ severity }) => severity === 'interrupts').map(({ about }) => about.name)
  const allow = interrupted.length === 0 ? '' : `; --allow ${interrupted.join(',')} lets these services stop meanwhile`
  return new HiveError('blocked', `${verb} ${host} is not safe now: ${objections(verdict).join('; ')}`, {
    host,
    hint: `${waits ? `--wait waits until it is${allow}; ` : allow.replace(/^; (.*)$/, '$1; ')}--force ${host} does it in spite of all that`,
    log: verdict.reasons.filter(({ severity }) => severity === 'stops').flatMap(({ evidence }) => evidence),
  })
}
