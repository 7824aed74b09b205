/**
 * DRBD 9: its module in the running kernel and in the one that boots next, its tools, and that an update of packages does not part them.
 * A host that has mirrored volumes already is never stopped for what is wrong with its DRBD; it is told.
 */
import type { EnsureDrbdModule } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from '../adapters/command.ts'
import { aptOffersModule, installKernel, installModule, noAptModule } from '../adapters/drbd/install-module.ts'
import { type Finding, findings, loadFailure, type ModuleFacts } from '../adapters/drbd/module-verdict.ts'
import { loadedVersion, reachesFloor, readVersions } from '../adapters/drbd/module-version.ts'
import { parseArchiveSource, versionInName } from '../adapters/drbd/package-archive.ts'
import { hasResources } from '../adapters/drbd/resource-store.ts'
import { readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { hold, missingHolds } from '../adapters/kernel-hold.ts'
import { isKernel, isListed, newestInstalled, nextKernel, readModule, runningKernel, signaturesRequired } from '../adapters/kernel-modules.ts'
import { type PackageSystem, packageSystem } from '../adapters/os.ts'
import { workOf } from './ensure-packages.ts'
import { blocked, type CheckOutcome, change, type Executor, okWith, type StepContext } from './executor.ts'

const files: readonly (readonly [path: string, content: string])[] = [
  // Its users load it by themselves; this shows at boot that it does not load, and not at the first failover.
  ['/etc/modules-load.d/hive-drbd.conf', 'drbd\n'],
  // Else the kernel starts drbdadm at each event, for handlers that there are none of; where SELinux keeps that from working, a resync
  // is given up.
  ['/etc/modprobe.d/hive-drbd.conf', 'options drbd usermode_helper=disabled\n'],
]

export const ensureDrbdModule: Executor<EnsureDrbdModule> = {
  exclusive: () => 'packages',

  async check(spec, { signal }) {
    const system = await packageSystem()
    if (system === undefined) return blocked('this host has neither apt nor dnf')
    if (spec.downloadUrl !== '') parseArchiveSource(spec.downloadUrl)
    const found = findings(await look(spec, system, signal))
    // Told before a deploy begins, where it is known: nothing that setup-hosts does changes it.
    if (system === 'apt' && spec.downloadUrl === '' && remediesOf(found).has('module') && !(await aptOffersModule(signal))) {
      const { message, hint } = noAptModule()
      return blocked(message, hint)
    }
    return outcomeOf(found)
  },

  async apply(spec, context) {
    const { signal } = context
    const system = await packageSystem()
    if (system === undefined) throw new HiveError('unsupported', 'this host has neither apt nor dnf')
    const work = workOf(context)
    const before = await look(spec, system, signal)
    const remedies = remediesOf(findings(before))
    const kernel = remedies.has('kernel') ? await installKernel(spec.kernelVersion, system, work) : (before.wanted?.installed ?? before.kernel)
    // A kernel that has just come needs its module, too.
    const module = remedies.has('module') || (remedies.has('kernel') && !reachesFloor((await readModule('drbd', kernel, signal))?.version ?? ''))
    await installModule({ system, url: spec.downloadUrl, kernel, module, tools: remedies.has('tools') }, work)
    for (const [path, content] of files) if ((await readText(path)) !== content) await writeFileAtomic(path, content, rootFile)
    await hold(system, await missingHolds(system, signal), work)
    const after = await look(spec, system, signal)
    if (remediesOf(findings(after)).has('load')) await load(after, context)
  },
}

const remediesOf = (found: readonly Finding[]): ReadonlySet<string> => new Set(found.flatMap((one) => (one.kind === 'change' ? [one.remedy] : [])))

async function look(spec: EnsureDrbdModule, system: PackageSystem, signal: AbortSignal): Promise<ModuleFacts> {
  const [kernel, next, versions] = await Promise.all([runningKernel(), nextKernel(), readVersions(signal)])
  const [loaded, onDisk, onNextDisk, missing] = await Promise.all([
    loadedVersion(versions?.module ?? '', signal),
    readModule('drbd', undefined, signal),
    next === undefined || next === kernel ? undefined : readModule('drbd', next, signal),
    missingHolds(system, signal),
  ])
  const unwritten: string[] = []
  for (const [path, content] of files) if ((await readText(path)) !== content) unwritten.push(`${path} is not as wanted`)
  return {
    versions,
    loaded,
    onDisk,
    kernel,
    nextKernel: next,
    onNextDisk: next === kernel ? onDisk : onNextDisk,
    signaturesRequired: await signaturesRequired(),
    hasVolumes: await hasResources(),
    wanted: await wantedKernel(spec.kernelVersion, kernel),
    offered: versionInName(spec.downloadUrl),
    unset: [...unwritten, ...(missing.length > 0 ? [`not held: ${missing.join(', ')}`] : [])],
  }
}

async function wantedKernel(pattern: string, running: string): Promise<ModuleFacts['wanted']> {
  if (pattern === '' || isKernel(pattern, running)) return undefined
  return { pattern, installed: await newestInstalled(pattern) }
}

function outcomeOf(found: readonly Finding[]): CheckOutcome {
  const of = (kind: Finding['kind']): readonly Finding[] => found.filter((one) => one.kind === kind)
  const [blocking, changing] = [of('blocked'), of('change')]
  const reasons = (all: readonly Finding[]): string => all.map(({ reason }) => reason).join('; ')
  if (blocking.length > 0)
    return blocked(
      reasons(blocking),
      blocking.map(hintOf).find((hint) => hint !== undefined),
    )
  if (changing.length > 0) return change(reasons(changing), '', 'DRBD 9')
  return okWith(found.map((one) => (hintOf(one) === undefined ? one.reason : `${one.reason} (${hintOf(one)})`)))
}

const hintOf = (finding: Finding): string | undefined => (finding.kind === 'change' ? undefined : finding.hint)

/** Loads the module, in place of an older one that nothing uses. */
async function load({ loaded, onDisk }: ModuleFacts, context: StepContext): Promise<void> {
  const { signal } = context
  if (loaded !== '') {
    context.log(`replacing the loaded DRBD ${loaded}`)
    await run(['modprobe', '-r', 'drbd_transport_tcp', 'drbd'], { signal, timeout: 60_000, okCodes: [0, 1] })
    if (await isListed('drbd', signal))
      throw new HiveError('blocked', `DRBD ${loaded} is in use and stays loaded`, { hint: 'reboot this host, then run again' })
  }
  const { code, stderr } = await run(['modprobe', 'drbd'], { signal, timeout: 60_000, okCodes: [0, 1] })
  if (code === 0) return
  const { reason, hint } = loadFailure(stderr, onDisk)
  throw new HiveError('blocked', reason, { hint })
}
