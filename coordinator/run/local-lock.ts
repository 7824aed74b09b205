/**
 * One coordinator at a time for a stage on this machine: CONTEXT_DIR/run.lock. It needs no agent, so it also covers the
 * time before there are any. A lock whose process is dead is taken over at once.
 */
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { refuseOthers } from '../context/team-lock.ts'
import { readTextIfPresent, sweepTemporaries } from './atomic-file.ts'
import { isDead, parseOwner } from './process-identity.ts'

interface LockFile {
  readonly owner: string
  readonly purpose: string
  readonly since: string
}

export interface LocalLock {
  release(): void
}

/** Throws HiveError 'locked' that says who holds it, since when and for what; also where somebody else keeps the context folder to themselves. */
export function acquireLocalLock(contextDir: string, owner: string, purpose: string, now: Date): LocalLock {
  const path = join(contextDir, 'run.lock')
  refuseOthers(contextDir)
  mkdirSync(contextDir, { recursive: true, mode: 0o700 })
  const own = `${path}.${process.pid}`
  const content: LockFile = { owner, purpose, since: now.toISOString() }
  writeFileSync(own, `${JSON.stringify(content)}\n`, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (linked(own, path)) {
        sweepTemporaries(contextDir, now)
        return {
          release: () => {
            sweepTemporaries(contextDir, new Date())
            release(path, owner)
          },
        }
      }
      const text = readTextIfPresent(path)
      if (text === undefined) continue
      const holder = parse(text)
      if (holder !== undefined && !abandoned(holder)) throw lockedError(holder)
      removeIfStill(path, text)
    }
  } finally {
    rmSync(own, { force: true })
  }
  throw new HiveError('locked', `${path} changes hands too quickly`, { hint: 'try again' })
}

/** Who holds the stage on this machine now; undefined where nobody does. */
export function localLockHolder(contextDir: string): LockFile | undefined {
  const text = readTextIfPresent(join(contextDir, 'run.lock'))
  const holder = text === undefined ? undefined : parse(text)
  return holder !== undefined && !abandoned(holder) ? holder : undefined
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Takes a dead process's lock away; where someone else did and has it by now, puts theirs back. */
function removeIfStill(path: string, text: string): void {
  const aside = `${path}.${process.pid}.stale`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (readTextIfPresent(aside) !== text) linked(aside, path)
  rmSync(aside, { force: true })
}

function release(path: string, owner: string): void {
  const text = readTextIfPresent(path)
  if (text !== undefined && parse(text)?.owner === owner) rmSync(path, { force: true })
}

function abandoned(holder: LockFile): boolean {
  const owner = parseOwner(holder.owner)
  // The context folder may be shared; of another machine's process nothing is known here.
  return owner === undefined || isDead(owner)
}

function parse(text: string): LockFile | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockFile>
    return typeof value.owner === 'string' ? { owner: value.owner, purpose: value.purpose ?? '', since: value.since ?? '' } : undefined
  } catch {
    return undefined
  }
}

function lockedError(holder: LockFile): HiveError {
  const owner = parseOwner(holder.owner)
  return new HiveError('locked', `${owner?.who ?? holder.owner} (process ${owner?.pid ?? '?'}) holds the stage since ${holder.since} for ${holder.purpose}`, {
    hint: 'wait until it is done; `hivecoord runs watch` follows it',
  })
}
