/**
 * Takes away what no manifest of the registry refers to.
 *  - Not begun while something is uploaded.
 *  - The registry runs on, for reading only: hosts can pull, and a push waits (adapters/ansible/images.ts).
 *  - It is writable again however this ends; `endReadOnly` is for an agent that was killed in between.
 *  - It starts anew afterwards: what it remembers of layers that are gone would let a push leave them out.
 */
import { HiveError } from '../../../proto/errors.ts'
import { readFileState, writeFileAtomic } from '../files.ts'
import { isReadOnlyConfig, readOnlyConfig, registryPaths, writableConfig } from '../registry-config.ts'
import type { RegistryProcess } from './process.ts'
import { readRegistryStorage, totalBytes, type Upload } from './storage.ts'

export interface GarbageOptions {
  readonly process: RegistryProcess
  /** Resolves with "" once the registry answers, else with what is wrong. */
  readonly answers: (signal: AbortSignal) => Promise<string>
  readonly signal: AbortSignal
  readonly now: () => Date
  readonly paths?: { readonly config: string; readonly storage: string }
}

/** Milliseconds after which an upload that nothing was written to is one that broke off. */
const uploadTime = 60 * 60_000
/** Milliseconds that the way back may take, also when the work was cancelled. */
const wayBack = 120_000

/** Throws HiveError 'conflict' while something is uploaded. */
export function refuseWhileUploading(uploads: readonly Upload[], now: Date): void {
  const recent = uploads.filter(({ at }) => now.getTime() - at.getTime() < uploadTime).map(({ repository }) => repository)
  if (recent.length === 0) return
  throw new HiveError('conflict', `${[...new Set(recent)].sort().join(', ')} is being uploaded to the registry`, {
    hint: 'try again when the push has ended; one that broke off counts as ended after an hour',
  })
}

/** Answers the bytes that went. */
export async function collectGarbage(options: GarbageOptions): Promise<number> {
  const { process, answers, signal, now, paths = registryPaths } = options
  const before = await readRegistryStorage(paths.storage)
  refuseWhileUploading(before.uploads, now())
  const state = await readFileState(paths.config)
  if (state === undefined) throw new HiveError('not-found', `${paths.config} is not there`, { hint: '`hivecoord setup-hosts` writes it' })
  const { mode, uid, gid } = state
  const config = state.content.toString('utf8')
  try {
    await writeFileAtomic(paths.config, readOnlyConfig(config), { mode, uid, gid })
    await process.restart(signal)
    // What began in between was cut off by the restart, and may have left a part that counts.
    refuseWhileUploading((await readRegistryStorage(paths.storage)).uploads, now())
    await process.collect(signal)
  } finally {
    const own = AbortSignal.timeout(wayBack)
    await writeFileAtomic(paths.config, config, { mode, uid, gid })
    await process.restart(own)
  }
  const problem = await answers(signal)
  if (problem !== '') throw new HiveError('not-converged', `the registry does not serve after its garbage was collected: ${problem}`)
  return totalBytes(before) - totalBytes(await readRegistryStorage(paths.storage))
}

/** Makes a registry writable that was left for reading only; answers whether it was. */
export async function endReadOnly(
  process: (signal: AbortSignal) => Promise<RegistryProcess>,
  signal: AbortSignal,
  path: string = registryPaths.config,
): Promise<boolean> {
  const state = await readFileState(path)
  const config = state?.content.toString('utf8') ?? ''
  if (state === undefined || !isReadOnlyConfig(config)) return false
  const { mode, uid, gid } = state
  await writeFileAtomic(path, writableConfig(config), { mode, uid, gid })
  await (await process(signal)).restart(signal)
  return true
}
