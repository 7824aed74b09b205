/** One operation by hand on a DRBD resource: looked at, weighed, confirmed, done. */
import type { DrbdHostView, DrbdOperationResponse } from '#gen/hive/v1/drbd.ts'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { type QuorumEffect, quorumAfter, sameHost } from '../../../proto/drbd-quorum.ts'
import { HiveError } from '../../../proto/errors.ts'
import { waitFor } from '../../adapters/docker/wait.ts'
import { plannedCommands } from '../../adapters/drbd/planned-adjust.ts'
import { readStatusOf } from '../../adapters/drbd/read-status.ts'
import { configFile, hasConfig, readResourceFile } from '../../adapters/drbd/resource-store.ts'
import { drbdadm, drbdsetup, hideSecret } from '../../adapters/drbd/tools.ts'
import { holdersOfAll } from '../../adapters/mounts.ts'
import type { ServerContext } from '../context.ts'
import { type Asked, decideOperation, type Work } from './decide-operation.ts'
import { keepSnapshot } from './keep-snapshot.ts'

export interface Request {
  readonly name: string
  readonly confirm: string
  readonly preview: boolean
  readonly others: readonly DrbdHostView[]
}

/** Under the volume's key: no step and no watcher works on it meanwhile. */
export function carryOut(context: ServerContext, request: Request, asked: Omit<Asked, 'name' | 'host'>, signal: AbortSignal): Promise<DrbdOperationResponse> {
  // DRBD's tools take "all" for every resource there is.
  if (!/^[\w.+][\w.+-]*$/.test(request.name) || request.name === 'all') throw new HiveError('invalid-input', `"${request.name}" is no name of a resource`)
  return context.exclusive(`volume ${request.name}`, signal, () =>
    weighed(context, request, { ...asked, name: request.name, host: context.config.host }, signal),
  )
}

async function weighed(context: ServerContext, request: Request, asked: Asked, signal: AbortSignal): Promise<DrbdOperationResponse> {
  const { name } = request
  const status = await readStatusOf(name, signal)
  const config = (await hasConfig(name)) ? ['-c', configFile(name)] : []
  const pending = ['up', 'adjust'].includes(asked.verb) ? await pendingOf(name, signal) : []
  const decision = decideOperation(asked, { status, holders: await holdersOfAll(status?.devices ?? []), pending, config })
  if (decision.kind === 'nothing') return { changed: false, reason: decision.reason, effect: undefined, snapshot: '', doubts: [] }
  const effect = quorumAfter(viewsOf(asked.host, status, request.others), decision.operation)
  const doubts = doubtsOf(decision, effect)
  const answer = { effect: { ...effect, reasons: [...effect.reasons], copies: [...effect.copies] }, doubts }
  if (request.preview) return { ...answer, changed: false, reason: 'would be done', snapshot: '' }
  if (doubts.length > 0 && request.confirm !== name)
    throw new HiveError('blocked', `${asked.verb} ${name}: ${doubts.join('; ')}`, { hint: `repeat with "confirm": "${name}" to mean it` })
  const snapshot = decision.snapshot ? await keepSnapshot(name, new Date(), signal) : ''
  if (doubts.length > 0)
    context.log.warn({ resource: name, verb: asked.verb, doubts, effect, snapshot, before: hideSecret(textOf(status)) }, 'confirmed in spite of doubts')
  await runAll(asked, decision, { status, config }, signal)
  return { ...answer, changed: true, reason: resultOf(asked, status, await settledStatus(asked, signal)), snapshot }
}

/** Why the name must be given. What takes nothing away raises none, however bad the state is: it may be the repair. */
export const doubtsOf = (work: Work, effect: QuorumEffect): string[] => [
  ...work.doubts,
  ...(work.operation.kind === 'none' || effect.verdict === 'safe' ? [] : effect.reasons),
]

/** What others are told to say of this host is not asked: it speaks for itself. */
const viewsOf = (host: string, status: DrbdResourceStatus | undefined, others: readonly DrbdHostView[]) => [
  ...(status === undefined ? [] : [{ host, status }]),
  ...others.filter((view) => !sameHost(view.host, host)).map((view) => ({ host: view.host, status: view.status })),
]

async function pendingOf(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const text = await readResourceFile(name)
  if (text === undefined) throw new HiveError('not-found', `this host has no resource file of ${name}`, { hint: 'hivecoord build-volumes writes it' })
  return (await plannedCommands(name, text, signal)).map(hideSecret)
}

interface Before {
  readonly status: DrbdResourceStatus | undefined
  readonly config: readonly string[]
}

async function runAll({ verb, name }: Asked, { commands }: Work, { status, config }: Before, signal: AbortSignal): Promise<void> {
  for (const [tool, ...args] of commands) {
    try {
      await (tool === 'drbdadm' ? drbdadm : drbdsetup)(args, { signal, timeout: 120_000 })
    } catch (error) {
      const undone = await undo(verb, name, { status, config })
      if (undone === undefined || !(error instanceof HiveError)) throw error
      throw new HiveError(error.code, error.message, { hint: undone, log: error.log, cause: error })
    }
  }
}

/**
 * What stops half-way must not stay so: a refused `down` has deleted connections, an `up` without metadata leaves a diskless device that is
 * on its own. Answers what was done about it.
 */
async function undo(verb: Asked['verb'], name: string, { status, config }: Before): Promise<string | undefined> {
  const signal = AbortSignal.timeout(60_000)
  const now = await readStatusOf(name, signal).catch(() => undefined)
  const again = async (args: readonly string[], done: string): Promise<string> =>
    drbdadm(args, { signal }).then(
      () => done,
      () => `it stopped half-way, and the way back failed, too: hivecoord drbd status ${name}`,
    )
  if (verb === 'up' && now !== undefined) return again([...config, 'down', name], 'what had come up was taken down again')
  const lost = (status?.connections.length ?? 0) > (now?.connections.length ?? 0)
  const alone = verb === 'discard' && now?.connections.some(({ state }) => state === 'StandAlone') === true
  if (now !== undefined && (lost || alone)) return again([...config, 'adjust', name], 'it stopped half-way; its connections were brought back')
  return undefined
}

/** A connection that is made takes a moment until it is there or refused; a peer that is away is waited for only so long. */
async function settledStatus({ verb, name, peer = '' }: Asked, signal: AbortSignal): Promise<DrbdResourceStatus | undefined> {
  if (verb !== 'connect') return readStatusOf(name, signal)
  const look = async (): Promise<DrbdResourceStatus | undefined> => {
    const status = await readStatusOf(name, signal)
    const to = status?.connections.find((one) => sameHost(one.name, peer))
    return to === undefined || ['Connected', 'StandAlone'].includes(to.state) ? status : undefined
  }
  return waitFor(`${name} connects to ${peer}`, look, { signal, timeout: 5_000 }).catch((error: unknown) => {
    if (error instanceof HiveError && error.code === 'timeout') return readStatusOf(name, signal)
    throw error
  })
}

/** What came of it, for people. */
export function resultOf({ verb, peer = '' }: Asked, before: DrbdResourceStatus | undefined, after: DrbdResourceStatus | undefined): string {
  const to = after?.connections.find(({ name }) => sameHost(name, peer))
  switch (verb) {
    case 'snapshot':
      return 'a snapshot was made'
    case 'connect':
    case 'disconnect':
      return `${peer} is ${to?.state ?? 'no peer any more'}`
    case 'discard':
      return `it is ${after?.devices[0]?.diskState ?? 'not up'}; hosts that are StandAlone to this one need connect, too`
    case 'verify':
      return `it runs; what differs counts as out of sync when it is done, and disconnect and connect of ${peer} bring it right`
    case 'resize': {
      const [was, is] = [before?.devices[0]?.sizeKib ?? 0n, after?.devices[0]?.sizeKib ?? 0n]
      return was === is
        ? `the size is ${is} KiB as before: the smallest disk decides, and it has not grown`
        : `${was} KiB → ${is} KiB; the file system grows next`
    }
    case 'forget-peer':
      return `${peer} is not counted any more; take it out of the inventory, too, or adjust brings it back`
    default:
      return after === undefined ? 'it is down' : `it is ${after.role}, ${after.devices.map(({ diskState }) => diskState).join(', ')}`
  }
}

const textOf = (status: DrbdResourceStatus | undefined): string =>
  JSON.stringify(status, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)) ?? ''
