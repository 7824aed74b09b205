/** What the supervisor must not forget when the agent restarts: that it is held, and where it gave up. supervisor.json in the state folder. */
import { readFile } from 'node:fs/promises'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { writeWhole } from '../../runs/state-file.ts'
import type { GivenUp } from './supervise.ts'

export interface Hold {
  readonly by: string
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly since: number
  /** Undefined: until released. */
  readonly until: number | undefined
}

export interface Standing {
  readonly hold: Hold | undefined
  readonly givenUp: readonly GivenUp[]
}

export const unhindered: Standing = { hold: undefined, givenUp: [] }

/** The hold that is in force. */
export const holdAt = ({ hold }: Standing, now: number): Hold | undefined => (hold?.until !== undefined && hold.until <= now ? undefined : hold)

/** Unhindered where there is no file. A file that can't be read holds: somebody may have wanted that. */
export async function readStanding(path: string, now: number): Promise<Standing> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? unhindered : unreadable(path, now)
  }
  try {
    const { hold, givenUp } = JSON.parse(text) as { hold?: Record<string, unknown> | null; givenUp?: unknown }
    return { hold: hold === undefined || hold === null ? undefined : toHold(hold), givenUp: Array.isArray(givenUp) ? givenUp.filter(isGivenUp) : [] }
  } catch {
    return unreadable(path, now)
  }
}

/** Throws HiveError 'blocked' where it can't be written: a hold that a restart forgets is none. */
export async function writeStanding(path: string, { hold, givenUp }: Standing): Promise<void> {
  try {
    await writeWhole(path, JSON.stringify({ hold: hold ?? null, givenUp }))
  } catch (error) {
    throw new HiveError('blocked', `${path} can't be written: ${messageOf(error)}`, { hint: 'free space on the host', cause: error })
  }
}

const unreadable = (path: string, now: number): Standing => ({
  hold: { by: 'hive-agent', reason: `${path} can't be read, so it is not known whether it was held`, since: now, until: undefined },
  givenUp: [],
})

const toHold = (raw: Record<string, unknown>): Hold => ({
  by: String(raw['by'] ?? ''),
  reason: String(raw['reason'] ?? ''),
  since: Number(raw['since'] ?? 0),
  until: typeof raw['until'] === 'number' ? raw['until'] : undefined,
})

const isGivenUp = (raw: unknown): raw is GivenUp =>
  typeof raw === 'object' && raw !== null && 'volume' in raw && 'signature' in raw && typeof raw.volume === 'string' && typeof raw.signature === 'string'
