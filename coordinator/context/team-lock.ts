/** A context folder kept to one person: CONTEXT_DIR/team.lock. Whoever has the folder on the same file system sees it; copies have none. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { localIdentity } from '../pki/stage-pki.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'

export interface TeamLock {
  /** USER@HOST */
  readonly by: string
  /** ISO */
  readonly since: string
  readonly reason: string
}

const pathOf = (contextDir: string): string => join(contextDir, 'team.lock')

/** Undefined where nobody has it. Throws HiveError 'invalid-input' where the file is damaged. */
export function teamLockOf(contextDir: string): TeamLock | undefined {
  const text = readTextIfPresent(pathOf(contextDir))
  if (text === undefined) return undefined
  try {
    const { by, since = '', reason = '' } = JSON.parse(text) as Partial<TeamLock>
    if (typeof by === 'string') return { by, since, reason }
  } catch {
    // Told below.
  }
  throw new HiveError('invalid-input', `${pathOf(contextDir)} is damaged`, { hint: 'remove it when nobody works with the stage' })
}

/** Throws HiveError 'locked' where somebody else has it. */
export function refuseOthers(contextDir: string, who = localIdentity()): void {
  const lock = teamLockOf(contextDir)
  if (lock === undefined || lock.by === who) return
  throw new HiveError('locked', `${lock.by} keeps the stage since ${lock.since}${lock.reason === '' ? '' : `: ${lock.reason}`}`, {
    hint: `ask ${lock.by}; or \`hivecoord context unlock --force ${lock.by}\``,
  })
}

/** Throws HiveError 'locked' where somebody else has it. */
export function takeTeamLock(contextDir: string, reason: string, now: Date, who = localIdentity()): TeamLock {
  refuseOthers(contextDir, who)
  const lock = { by: who, since: now.toISOString(), reason }
  writeFileAtomic(pathOf(contextDir), `${JSON.stringify(lock)}\n`)
  return lock
}

/** `force`: who has it, where that is somebody else. Answers who had it. Throws HiveError 'locked' where that is not who was named. */
export function releaseTeamLock(contextDir: string, force: string | undefined, who = localIdentity()): TeamLock | undefined {
  const lock = teamLockOf(contextDir)
  if (lock !== undefined && lock.by !== (force ?? who)) refuseOthers(contextDir, force ?? who)
  rmSync(pathOf(contextDir), { force: true })
  return lock
}
