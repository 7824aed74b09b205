/**
 * DRBD 9: its module in the running kernel and in the one that boots next, its tools, and that an update of packages does not part them.
 * A host that has mirrored volumes already is never stopped for what is wrong with its DRBD; it is told.
 */
import { readdir } from 'node:fs/promises'
import type { EnsureDrbdModule } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from '../adapters/command.ts'
import { aptOffersModule, installKernel, installModule, noAptModule } from '../adapters/drbd/install-module.ts'
import { type Finding, findings, loadFailure, type ModuleFacts } from '../adapters/drbd/module-verdict.ts'
import { reachesFloor, readVersions } from '../adapters/drbd/module-version.ts'
import { parseArchiveSource, versionInName } from '../adapters/drbd/package-archive.ts'
import { readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { hold, missingHolds } from '../adapters/kernel-hold.ts'
import { compareReleases, installedKernels, isKernel, isListed, nextKernel, readModule, runningKernel, signaturesRequired } from '../adapters/kernel-modules.ts'
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
    const facts = await look(spec, system, signal)
    const outcome = outcomeOf(findings(facts))
    // Told before a deploy begins, where it is known: nothing that setup-hosts does changes it.
    if (outcome.kind === 'change' && spec.downloadUrl === '' && system === 'apt' && needsModule(facts) && !(await aptOffersModule(signal))) {
      const { message, hint } = noAptModule()
      return blocked(message, hint)
    }
    return outcome
  },

  async apply(spec, context) {
    const { signal } = context
    const system = await packageSystem()
    if (system === undefined) throw new HiveError('unsupported', 'this host has neither apt nor dnf')
    const work = workOf(context)
    const before = await look(spec, system, signal)
    const kernel = before.wanted === undefined ? before.kernel : await installKernel(spec.kernelVersion, system, work)
    const onDisk = await readModule('drbd', kernel, signal)
    const hasTools = before.versions !== undefined
    if (!hasTools || !reachesFloor(onDisk?.version ?? '')) await installModule(spec.downloadUrl, system, kernel, hasTools, work)
    for (const [path, content] of files) if ((await readText(path)) !== content) await writeFileAtomic(path, content, rootFile)
    await hold(system, await missingHolds(system, signal), work)
    await load(await look(spec, system, signal), context)
  },
}

const needsModule = ({ onDisk, loaded }: ModuleFacts): boolean => !reachesFloor(onDisk?.version ?? '') && !reachesFloor(loaded)

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

/** `told`: what drbdadm says, which is of the loaded module where one is loaded. */
async function loadedVersion(told: string, signal: AbortSignal): Promise<string> {
  const proc = /^version: (\d+(?:\.\d+)+)/.exec(await readText('/proc/drbd'))?.[1]
  if (proc !== undefined) return proc
  return told !== '' && (await isListed('drbd', signal)) ? told : ''
}

async function wantedKernel(pattern: string, running: string): Promise<ModuleFacts['wanted']> {
  if (pattern === '' || isKernel(pattern, running)) return undefined
  const fitting = (await installedKernels()).filter((release) => isKernel(pattern, release))
  return { pattern, installed: fitting.sort(compareReleases).at(-1) }
}

async function hasResources(): Promise<boolean> {
  const names = await readdir('/etc/drbd.d').catch((): string[] => [])
  return names.some((name) => name.endsWith('.res'))
}

function outcomeOf(found: readonly Finding[]): CheckOutcome {
  const of = (kind: Finding['kind']): readonly Finding[] => found.filter((one) => one.kind === kind)
  const [blocking, changing] = [of('blocked'), of('change')]
  const reasons = (all: readonly Finding[]): string => all.map(({ reason }) => reason).join('; ')
  if (blocking.length > 0) return blocked(reasons(blocking), blocking.find(({ hint }) => hint !== undefined)?.hint)
  if (changing.length > 0) return change(reasons(changing), '', 'DRBD 9')
  return okWith(found.map(({ reason, hint }) => (hint === undefined ? reason : `${reason} (${hint})`)))
}

/** Loads the module, in place of an older one that nothing uses. Not where another kernel is awaited, whose module it would not be. */
async function load({ loaded, onDisk, wanted, hasVolumes }: ModuleFacts, context: StepContext): Promise<void> {
  if (onDisk === undefined || reachesFloor(loaded) || (wanted !== undefined && !reachesFloor(onDisk.version))) return
  const { signal } = context
  if (loaded !== '') {
    if (hasVolumes) return
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
