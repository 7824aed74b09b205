import path from 'node:path'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { EnsureRegistry } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { findGroup } from '../adapters/accounts.ts'
import { type FileProperties, readFileState, readText, writeFileAtomic } from '../adapters/files.ts'
import { packageSystem } from '../adapters/os.ts'
import { installPackages, packageStates } from '../adapters/packages.ts'
import { passwordsFit, registryPaths, renderPasswords, renderRegistryConfig } from '../adapters/registry-config.ts'
import { awaitRegistry, probeRegistry, type RegistryAccess } from '../adapters/registry-probe.ts'
import { applyUnit, compareUnit, type WantedUnit } from '../adapters/unit-state.ts'
import { workOf } from './ensure-packages.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

const packageName = 'docker-registry'
const unsupported = 'a registry on hosts without apt is not supported on this system yet'

const unit: WantedUnit = {
  names: ['docker-registry.service'],
  enabled: true,
  state: 'started',
  watchFiles: [registryPaths.config, registryPaths.passwords, registryPaths.certificate, registryPaths.key],
  reload: false,
}

/** Milliseconds from the unit's start until it answers. */
const startTime = 30_000

interface WantedFile {
  readonly path: string

  readonly content: Buffer
  readonly mode: number
}

export const ensureRegistry: Executor<EnsureRegistry> = {
  exclusive: () => 'packages',

  async check(spec, context) {
    if ((await packageSystem()) !== 'apt') return blocked(unsupported, 'take a host with apt as the repository server')
    if ((await packageStates('apt', [packageName])).get(packageName)?.installed !== true)
      return change(`the package ${packageName} is not installed`, '', `registry on port ${spec.port}`)
    const differing = (await differingFiles(spec)).map((file) => `${file.path} differs`)
    const service = await compareUnit(unit)
    const reasons = [...differing, ...service.reasons.map((reason) => `${unit.names[0]} ${reason}`)]
    const restarts = service.unit.active === 'active' ? Disruption.RESTART : Disruption.UNSPECIFIED
    if (reasons.length > 0) return change(reasons.join('; '), '', `registry on port ${spec.port}`, restarts)
    const problem = await probeRegistry(await accessOf(spec), context.signal)
    return problem === '' ? ok : change(`the registry does not serve: ${problem}`, problem, 'answers 200', restarts)
  },

  async apply(spec, context) {
    if ((await packageSystem()) !== 'apt') throw new HiveError('unsupported', unsupported)
    await installPackages('apt', (await packageStates('apt', [packageName])).get(packageName)?.installed === true ? [] : [packageName], workOf(context))
    for (const file of await differingFiles(spec)) await writeFileAtomic(file.path, file.content, await propertiesOf(file))
    await applyUnit(unit, context.signal)
  },

  async verify(spec, context) {
    const problem = await awaitRegistry(await accessOf(spec), startTime, context.signal)
    if (problem !== '') return blocked(`the registry does not serve: ${problem}`, `journalctl -u ${unit.names[0]}`)
    return await ensureRegistry.check(spec, context)
  },
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
