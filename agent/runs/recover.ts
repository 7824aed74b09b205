/** What a restarted agent makes of the journals it finds. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunEvent, StepResult } from '#gen/hive/v1/run.ts'
import { encodeEvent, type RunHeader, readJournal, reopenJournal } from './journal.ts'

export interface PastRun {
  readonly header: RunHeader
  readonly ended: Date
  readonly ok: boolean
  /** Events that are not (all) in the file, because the disk was full. */
  readonly events?: readonly RunEvent[]
}

/** Reads what a journal says of its run; a run that had not ended is closed. Undefined where the file is unreadable. */
export async function recoverRun(folder: string, runId: string, now: () => Date): Promise<PastRun | undefined> {
  const known = await glance(folder, runId)
  if (known !== undefined) return known
  const journal = await readJournal(folder, runId)
  if (journal === undefined) return undefined
  const { header, events } = journal
  const end = events.findLast((event) => event.event?.$case === 'runFinished')
  if (end?.event?.$case === 'runFinished') return { header, ended: end.at ?? header.started, ok: end.event.value.ok }
  const closing = closingEvents(header, events, now())
  const past = { header, ended: now(), ok: false }
  try {
    const file = await reopenJournal(folder, runId)
    // A crash may have left half a line at the end.
    await Promise.all([file.append('', false), ...closing.map((event) => file.append(encodeEvent(event), true))])
    await file.close()
    return past
  } catch {
    return { ...past, events: [...events, ...closing] }
  }
}

/** The ends that are missing: steps that had begun have failed, the others are skipped. */
function closingEvents(header: RunHeader, events: readonly RunEvent[], at: Date): RunEvent[] {
  const began = new Set(events.filter(({ event }) => event?.$case === 'started').map(({ stepId }) => stepId))
  const ended = new Set(events.filter(({ event }) => event?.$case === 'finished').map(({ stepId }) => stepId))
  let seq = events.at(-1)?.seq ?? 0n
  const next = (stepId: string, event: NonNullable<RunEvent['event']>): RunEvent => {
    seq += 1n
    return { seq, at, stepId, event }
  }
  const error = (message: string, stepId: string) => ({ code: 'internal', message, hint: 'run the deploy again', host: '', stepId, log: [] })
  const open = header.steps.filter(({ id }) => !ended.has(id))
  return [
    ...open.map(({ id }) =>
      began.has(id)
        ? next(id, {
            $case: 'finished',
            value: { result: StepResult.FAILED, milliseconds: 0n, reason: '', error: error('the agent stopped during this step; run the deploy again', id) },
          })
        : next(id, {
            $case: 'finished',
            value: {
              result: StepResult.SKIPPED,
              milliseconds: 0n,
              reason: 'the agent stopped before this step',
              error: error('the agent stopped before this step; run the deploy again', id),
            },
          }),
    ),
    next('', { $case: 'runFinished', value: { ok: false } }),
  ]
}

/** Header and last line alone, which is enough for a run that ended well: 200 journals are looked at before the agent listens. */
async function glance(folder: string, runId: string): Promise<PastRun | undefined> {
  const file = await open(join(folder, `${runId}.jsonl`), 'r')
  try {
    const { size } = await file.stat()
    const first = await firstLine(file, size)
    const tail = Buffer.alloc(Math.min(size, 2048))
    await file.read(tail, 0, tail.length, size - tail.length)
    const last = tail.toString().trimEnd().split('\n').at(-1) ?? ''
    const header = JSON.parse(first) as RunHeader
    const event = JSON.parse(last) as RunEvent
    if (header.runId !== runId || event.event?.$case !== 'runFinished') return undefined
    return { header: { ...header, started: new Date(header.started) }, ended: new Date(String(event.at)), ok: event.event.value.ok }
  } catch {
    return undefined
  } finally {
    await file.close()
  }
}

async function firstLine(file: FileHandle, size: number): Promise<string> {
  const chunk = Buffer.alloc(64 * 1024)
  let text = ''
  for (let at = 0; at < size; at += chunk.length) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
    text += chunk.toString('latin1', 0, bytesRead)
    const end = text.indexOf('\n')
    if (end >= 0) return Buffer.from(text.slice(0, end), 'latin1').toString()
  }
  throw new Error('no whole line')
}
