/** One tidying of this host's registry: old builds go, then what nothing refers to. Never while something is uploaded. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { deleteManifest } from '../../adapters/ansible/registry.ts'
import { collectGarbage, refuseWhileUploading } from '../../adapters/registry/collect-garbage.ts'
import { decidePrune, type PruneRules, type Verdict } from '../../adapters/registry/decide-prune.ts'
import { type RegistryProcess, registryProcess } from '../../adapters/registry/process.ts'
import type { RegistrySettings } from '../../adapters/registry/settings.ts'
import { type RegistryStorage, readRegistryStorage, totalBytes } from '../../adapters/registry/storage.ts'
import { registryPaths } from '../../adapters/registry-config.ts'
import { awaitRegistry } from '../../adapters/registry-probe.ts'

export interface TidyOptions {
  readonly settings: Pick<RegistrySettings, 'server' | 'user' | 'password'>
  /** PEM of the CA that the registry's certificate comes from. */
  readonly ca: string
  readonly signal: AbortSignal
  readonly now: () => Date
  readonly log: (line: string) => void
  /** For tests. */
  readonly process?: (signal: AbortSignal) => Promise<RegistryProcess>
  readonly paths?: { readonly config: string; readonly storage: string }
}

export interface Tidied {
  readonly verdicts: readonly Verdict[]
  readonly freedBytes: number
}

/** Milliseconds until it must answer again. */
const startTime = 30_000

/** Who goes and who stays, and what would be free then. Only reads. */
export function judge(storage: RegistryStorage, rules: PruneRules): Tidied {
  const verdicts = decidePrune(storage.manifests, rules)
  const going = new Set(verdicts.filter(({ removed }) => removed).map(({ manifest }) => `${manifest.repository}@${manifest.digest}`))
  const staying = storage.manifests.filter(({ repository, digest }) => !going.has(`${repository}@${digest}`))
  const needed = new Set(staying.flatMap(({ blobs }) => blobs))
  const rest = [...storage.blobs].reduce((sum, [digest, size]) => (needed.has(digest) ? sum + size : sum), 0)
  return { verdicts, freedBytes: totalBytes(storage) - rest }
}

/** Throws HiveError 'conflict' while something is uploaded: nothing was taken away then. */
export async function prune(rules: PruneRules, options: TidyOptions): Promise<Tidied> {
  const { settings, signal, now, log, paths = registryPaths } = options
  const storage = await readRegistryStorage(paths.storage)
  refuseWhileUploading(storage.uploads, now())
  const { verdicts } = judge(storage, rules)
  const auth: RegistryAuth = { server: settings.server, user: settings.user, password: settings.password }
  for (const { manifest, removed, why } of verdicts) {
    if (!removed) continue
    log(`deleting ${manifest.repository}${manifest.tags.map((tag) => `:${tag}`).join(',')} ${manifest.digest.slice(0, 19)}: ${why}`)
    await deleteManifest(`${settings.server}/${manifest.repository}`, manifest.digest, auth, signal)
  }
  return { verdicts, freedBytes: await clean(options) }
}

/** Garbage alone; answers the bytes that went. Where there is none, the registry is left alone. */
export async function clean({ settings, ca, signal, now, process = registryProcess, paths = registryPaths }: TidyOptions): Promise<number> {
  const { blobs, manifests } = await readRegistryStorage(paths.storage)
  const needed = new Set(manifests.flatMap((manifest) => manifest.blobs))
  if ([...blobs.keys()].every((digest) => needed.has(digest))) return 0
  const access = { port: Number(settings.server.slice(settings.server.lastIndexOf(':') + 1)), user: settings.user, password: settings.password, ca }
  return await collectGarbage({ process: await process(signal), answers: (own) => awaitRegistry(access, startTime, own), signal, now, paths })
}
