import path from 'node:path'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { EnsureRegistry } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { findGroup } from '../adapters/accounts.ts'
import { run } from '../adapters/command.ts'
import { bringImage } from '../adapters/docker/bring-image.ts'
import { inspectImage } from '../adapters/docker/images.ts'
import { type FileProperties, readFileState, readText, writeFileAtomic } from '../adapters/files.ts'
import { packageSystem } from '../adapters/os.ts'
import { installPackages, packageStates } from '../adapters/packages.ts'
import { passwordsFit, registryPaths, renderPasswords, renderRegistryConfig } from '../adapters/registry-config.ts'
import {
  findRegistryContainer,
  forgetOldRegistryImages,
  registryContainerName,
  registryFingerprint,
  removeRegistryContainer,
  startRegistryContainer,
  stopRegistryContainer,
} from '../adapters/registry-container.ts'
import { awaitRegistry, probeRegistry, type RegistryAccess } from '../adapters/registry-probe.ts'
import { applyUnit, compareUnit, type WantedUnit } from '../adapters/unit-state.ts'
import { workOf } from './ensure-packages.ts'
import { blocked, change, type Executor, ok, type StepContext } from './executor.ts'

const packageName = 'docker-registry'

const unit: WantedUnit = {
  names: ['docker-registry.service'],
  enabled: true,
  state: 'started',
  watchFiles: [registryPaths.config, registryPaths.passwords, registryPaths.certificate, registryPaths.key],
  reload: false,
}

/** Beside the container, on whose port it would be. */
const unitOff: WantedUnit = { ...unit, enabled: false, state: 'stopped', watchFiles: [] }

/** Milliseconds from the start until it answers. */
const startTime = 30_000

interface WantedFile {
  readonly path: string

  readonly content: Buffer
  readonly mode: number
}

/** What there is to do besides files, in words; `runs`: there is a registry that doing it interrupts. */
interface Difference {
  readonly reasons: readonly string[]
  readonly runs: boolean
}

/** How the registry is run: by the host's package, or in a container. */
interface Way {
  compare(spec: EnsureRegistry, context: StepContext): Promise<Difference>
  /** What comes before the files, and after them. */
  prepare(spec: EnsureRegistry, context: StepContext): Promise<void>
  start(spec: EnsureRegistry, context: StepContext): Promise<void>
  readonly look: string
}

export const ensureRegistry: Executor<EnsureRegistry> = {
  exclusive: () => 'packages',

  async check(spec, context) {
    const { reasons, runs } = await (await wayOf(spec)).compare(spec, context)
    const differing = (await differingFiles(spec)).map((file) => `${file.path} differs`)
    const all = [...differing, ...reasons]
    const wanted = `registry on port ${spec.port}`
    const restarts = runs ? Disruption.RESTART : Disruption.UNSPECIFIED
    if (all.length > 0) return change(all.join('; '), '', wanted, restarts)
    const problem = await probeRegistry(await accessOf(spec), context.signal)
    return problem === '' ? ok : change(`the registry does not serve: ${problem}`, problem, 'answers 200', restarts)
  },

  async apply(spec, context) {
    const way = await wayOf(spec)
    await way.prepare(spec, context)
    for (const file of await differingFiles(spec)) await writeFileAtomic(file.path, file.content, await propertiesOf(file))
    await way.start(spec, context)
  },

  async verify(spec, context) {
    const problem = await awaitRegistry(await accessOf(spec), startTime, context.signal)
    if (problem !== '') return blocked(`the registry does not serve: ${problem}`, (await wayOf(spec)).look)
    return await ensureRegistry.check(spec, context)
  },
}

const wayOf = async (spec: EnsureRegistry): Promise<Way> => (spec.inContainer || (await packageSystem()) !== 'apt' ? byContainer : byPackage)

const isInstalled = async (): Promise<boolean> => (await packageStates('apt', [packageName])).get(packageName)?.installed === true

const byPackage: Way = {
  look: `journalctl -u ${unit.names[0]}`,

  async compare(_spec, { signal }) {
    const container = await findRegistryContainer(signal).catch(noneWithoutDocker)
    const leftover = container === undefined ? [] : [`it runs as the container ${registryContainerName}`]
    if (!(await isInstalled())) return { reasons: [`the package ${packageName} is not installed`, ...leftover], runs: container?.running === true }
    const service = await compareUnit(unit)
    return {
      reasons: [...service.reasons.map((reason) => `${unit.names[0]} ${reason}`), ...leftover],
      runs: service.unit.active === 'active' || container?.running === true,
    }
  },

  async prepare(_spec, context) {
    await installPackages('apt', (await isInstalled()) ? [] : [packageName], workOf(context))
    if ((await findRegistryContainer(context.signal).catch(noneWithoutDocker)) === undefined) return
    await stopRegistryContainer(context.signal)
    // What the container has written belongs to root.
    await run(['chown', '-R', `${packageName}:`, registryPaths.storage], { signal: context.signal, timeout: 600_000 })
    await removeRegistryContainer(context.signal)
  },

  start: (_spec, context) => applyUnit(unit, context.signal),
}

const byContainer: Way = {
  look: `docker logs ${registryContainerName}`,

  async compare(spec, { signal }) {
    const service = await compareUnit(unitOff)
    const packaged = service.unit.load === 'not-found' ? [] : service.reasons.map((reason) => `${unit.names[0]} ${reason} beside the container`)
    try {
      const container = await findRegistryContainer(signal)
      const image = await inspectImage(spec.image, signal)
      const reasons: string[] = []
      if (image === undefined) reasons.push(`the image ${spec.image} is not on this host`)
      if (container === undefined) reasons.push(`there is no container ${registryContainerName}`)
      else if (!container.running) reasons.push(`the container ${registryContainerName} does not run`)
      else if (container.fingerprint !== (await fingerprintOf(spec)) || (image !== undefined && container.imageId !== image.Id))
        reasons.push(`the container ${registryContainerName} runs with other files or another image`)
      return { reasons: [...reasons, ...packaged], runs: container?.running === true }
    } catch (thrown) {
      if (thrown instanceof HiveError && thrown.code === 'unreachable') return { reasons: ['docker does not run yet'], runs: false }
      throw thrown
    }
  },

  async prepare(spec, context) {
    const { signal } = context
    if ((await inspectImage(spec.image, signal)) !== undefined) return
    const { rootFilesystem, sourceReference } = spec
    const archive = spec.blobSha256 === '' ? undefined : { path: await context.blobPath(spec.blobSha256), rootFilesystem, sourceReference }
    await bringImage({ reference: spec.image, auth: spec.auth, archive }, signal, (line) => context.log(line))
  },

  async start(spec, context) {
    const { signal } = context
    if ((await compareUnit(unitOff)).unit.load !== 'not-found') await applyUnit(unitOff, signal)
    const [wanted, container, image] = [await fingerprintOf(spec), await findRegistryContainer(signal), await inspectImage(spec.image, signal)]
    const fits = container?.running === true && container.fingerprint === wanted && container.imageId === image?.Id
    // One that runs as it should and is asked to start all the same does not serve.
    if (!fits || (await probeRegistry(await accessOf(spec), signal)) !== '') await startRegistryContainer(spec.image, wanted, signal)
    if (spec.blobSha256 !== '') await forgetOldRegistryImages(spec.image, signal)
  },
}

/** Of the files as they are on this host. */
async function fingerprintOf(spec: EnsureRegistry): Promise<string> {
  const files = await Promise.all(unit.watchFiles.map(async (file) => (await readFileState(file))?.content ?? Buffer.alloc(0)))
  return registryFingerprint(spec.image, files)
}

function noneWithoutDocker(thrown: unknown): undefined {
  if (thrown instanceof HiveError && thrown.code === 'unreachable') return undefined
  throw thrown
}

/** Certificate and key are copied: the registry's own user may not read the agent's folder. */
async function differingFiles(spec: EnsureRegistry): Promise<WantedFile[]> {
  const wanted: WantedFile[] = [
    { path: registryPaths.config, content: Buffer.from(renderRegistryConfig(spec.port)), mode: 0o644 },
    { path: registryPaths.certificate, content: await source(spec.certificatePath), mode: 0o644 },
    { path: registryPaths.key, content: await source(spec.keyPath), mode: 0o640 },
  ]
  const differing: WantedFile[] = []
  for (const file of wanted) {
    const state = await readFileState(file.path)
    const { gid } = await propertiesOf(file)
    if (state === undefined || !state.content.equals(file.content) || state.mode !== file.mode || state.uid !== 0 || state.gid !== gid) differing.push(file)
  }
  if (!(await passwordsFit(await readText(registryPaths.passwords), spec.user, spec.password)))
    differing.push({ path: registryPaths.passwords, content: Buffer.from(await renderPasswords(spec.user, spec.password)), mode: 0o640 })
  return differing
}

async function source(file: string): Promise<Buffer> {
  const state = await readFileState(file)
  if (state === undefined) throw new HiveError('not-found', `the registry's ${file} is not on this host`, { hint: 'enrol the host again' })
  return state.content
}

async function propertiesOf(file: WantedFile): Promise<FileProperties> {
  const group = await findGroup('docker-registry')
  return { mode: file.mode, uid: 0, gid: file.mode === 0o644 ? 0 : (group?.gid ?? 0) }
}

const accessOf = async (spec: EnsureRegistry): Promise<RegistryAccess> => ({
  port: spec.port,
  user: spec.user,
  password: spec.password,
  // The CA of the certificate lies beside it.
  ca: await readText(path.join(path.dirname(spec.certificatePath), 'ca.pem')),
})
