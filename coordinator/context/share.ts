/**
 * A stage's context handed on: what is in its folder, and what .hive/persistents.yml has of this stage, as one sealed file. Not in it: client
 * certificates (whoever imports it gets an own one), journals of runs, locks.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { fingerprintOf } from '../../proto/pem.ts'
import type { Allocations } from '../inventory/allocations.ts'
import { allocationsIn, type Persistents, readPersistents, updatePersistents, withAllocations } from '../inventory/persistents.ts'
import type { StageName } from '../inventory/site.ts'
import { Authorities } from '../pki/authorities.ts'
import { localIdentity } from '../pki/stage-pki.ts'
import { readTextIfPresent } from '../run/atomic-file.ts'
import { acquireLocalLock } from '../run/local-lock.ts'
import { newOwner } from '../run/process-identity.ts'
import { archiveOf, filesOf, isShared, sharedFiles, writeFiles } from './context-files.ts'
import { aboutOf, type SealedAbout, seal, unseal } from './sealed-file.ts'

export interface ContextPlace {
  readonly root: string
  readonly stage: StageName
  readonly contextDir: string
}

/** Beside the folder's files in the archive. */
const persistentsEntry = '.persistents.json'
/** An account's, not the stage's. */
const personal = /secret|password|access_key/
/** Carried on by themselves. */
const allocated: ReadonlySet<string> = new Set(['drbd_device_map', 'published_port_map', 'allocations_per_stage'])
/** True of the machine rather than the stage. */
const ofMachine: ReadonlySet<string> = new Set(['stage', 'context_dir', 'temp_dir', 'verbose'])

/** `passphrase`: asked once it is known that there is something to export. Throws HiveError 'not-found' where the stage has no context yet, 'locked' while a run is at work, 'blocked' while the CA is exchanged. */
export async function exportContext({ root, stage, contextDir }: ContextPlace, passphrase: () => Promise<string>, now: Date): Promise<Buffer> {
  const ca = readTextIfPresent(join(contextDir, 'ca/cacert.pem'))
  if (ca === undefined) throw new HiveError('not-found', `stage ${stage} has no context yet (${contextDir})`, { hint: 'build-infra makes it' })
  const words = await passphrase()
  const lock = acquireLocalLock(contextDir, newOwner(), 'context export', now)
  try {
    const exchange = new Authorities(contextDir).rotation?.state ?? 'done'
    // A copy from amid would let hosts accept the old CA again later.
    if (exchange !== 'done') throw new HiveError('blocked', `the CA of stage ${stage} is being exchanged`, { hint: '`hivecoord cert rotate --ca` ends that' })
    const persistents = Buffer.from(JSON.stringify(ofStage(readPersistents(root), stage)))
    const files = [...sharedFiles(contextDir), { path: persistentsEntry, mode: 0o600, content: persistents }]
    return await seal(await archiveOf(files), words, { stage, ca: fingerprintOf(ca), by: localIdentity(), at: now.toISOString() })
  } finally {
    lock.release()
  }
}

interface OfStage {
  readonly allocations: Allocations
  /** Other variables that the stage has of its own. */
  readonly values: Readonly<Record<string, unknown>>
}

function ofStage(persistents: Persistents, stage: StageName): OfStage {
  const values = Object.entries(persistents).flatMap(([name, scopes]) => {
    const value = scopes[stage]
    return value === undefined || personal.test(name) || ofMachine.has(name) || allocated.has(name) ? [] : [[name, value] as const]
  })
  return { allocations: allocationsIn(persistents, stage), values: Object.fromEntries(values) }
}

export interface Imported {
  readonly about: SealedAbout
  /** Where what was there before is now; undefined where there was nothing. */
  readonly before: string | undefined
}

/**
 * Puts the context in place of what is there; client certificates and journals that are there stay. Killed anywhere, the folder is the old one, or
 * the new one, or (for an instant) none, and the same again ends it. Throws HiveError 'invalid-input' for another stage's, 'blocked' where there
 * is one already and `overwrite` does not name the stage, 'denied' as `unseal` does, 'locked' while a run is at work.
 */
export async function importContext(
  { root, stage, contextDir }: ContextPlace,
  sealed: Buffer,
  passphrase: () => Promise<string>,
  { overwrite, now }: { readonly overwrite: string | undefined; readonly now: Date },
): Promise<Imported> {
  const about = aboutOf(sealed)
  if (about.stage !== stage)
    throw new HiveError('invalid-input', `this is the context of stage ${about.stage}, not of ${stage}`, {
      hint: `hivecoord -s ${about.stage} context import FILE`,
    })
  const there = existsSync(contextDir) && readdirSync(contextDir).some(isShared)
  if (overwrite !== undefined && overwrite !== stage) throw new HiveError('invalid-input', `--overwrite names ${overwrite}, not ${stage}`)
  if (there && overwrite === undefined)
    throw new HiveError('blocked', `stage ${stage} has a context already (${contextDir})`, {
      hint: `--overwrite ${stage} puts this one in its place and keeps the present one beside it`,
    })
  const files = await filesOf(await unseal(sealed, await passphrase()))
  const lock = acquireLocalLock(contextDir, newOwner(), 'context import', now)
  try {
    const fresh = `${contextDir}.importing`
    rmSync(fresh, { recursive: true, force: true })
    writeFiles(
      fresh,
      files.filter(({ path }) => isShared(path) && path !== persistentsEntry),
    )
    const before = `${contextDir}.before-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`
    // What is not shared, the lock included, goes along.
    renameSync(contextDir, before)
    renameSync(fresh, contextDir)
    for (const name of readdirSync(before).filter((one) => !isShared(one))) renameSync(join(before, name), join(contextDir, name))
    await mergePersistents(root, stage, files.find(({ path }) => path === persistentsEntry)?.content)
    if (there) return { about, before }
    rmSync(before, { recursive: true, force: true })
    return { about, before: undefined }
  } finally {
    lock.release()
  }
}

async function mergePersistents(root: string, stage: StageName, content: Buffer | undefined): Promise<void> {
  if (content === undefined) return
  const { allocations, values } = JSON.parse(content.toString('utf8')) as OfStage
  await updatePersistents(root, (now) => {
    const others = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { ...now[name], [stage]: value }]))
    return { next: withAllocations({ ...now, ...others }, stage, allocations), answer: undefined }
  })
}
