/**
 * This host's part of a mirrored volume is gone, with its data. Each part is looked at by itself, so that what was begun is finished by
 * another run. In this order:
 *
 * - The unit is disabled before it is stopped: a unit of hive-builder's that docker requires would take docker down with it.
 * - The resource goes down only when nothing holds its device: a refusal half-way would leave it without its connections.
 * - The resource file goes before the logical volume: after a power cut in between nothing looks for a disk that is not there.
 */
import type { RemoveMirroredVolume } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import type { ContainerListed } from '../adapters/docker/api-types.ts'
import { recentInfo, recentServices } from '../adapters/docker/recent.ts'
import { inspectVolume } from '../adapters/docker/volumes.ts'
import { dockerDelete, dockerGet } from '../adapters/docker.ts'
import { readStatusOf } from '../adapters/drbd/read-status.ts'
import { configFile, previousFile, readResourceFile, resourceFile } from '../adapters/drbd/resource-store.ts'
import { unitOf } from '../adapters/drbd/resource-unit.ts'
import { drbdsetup } from '../adapters/drbd/tools.ts'
import { note } from '../adapters/drbd/volume-notes.ts'
import { exists, removeFile } from '../adapters/files.ts'
import { lvm, readVolumes } from '../adapters/lvm.ts'
import { holdersOf } from '../adapters/mounts.ts'
import { systemctl, unitStatus } from '../adapters/systemd.ts'
import { decideRemoval, type RemovalFacts, volumeGroupIn } from './drbd/decide-removal.ts'
import type { Executor, StepContext } from './executor.ts'

const filesOf = (name: string): readonly string[] => [configFile(name), previousFile(name), resourceFile(name)]

export const removeMirroredVolume: Executor<RemoveMirroredVolume> = {
  exclusive: (spec) => `volume ${spec.name}`,

  check: async (spec, context) => decideRemoval(spec, await look(spec, context)),

  async apply(spec, context) {
    const { name, minor } = spec
    const { signal } = context
    const facts = await look(spec, context)
    const decided = decideRemoval(spec, facts)
    if (decided.kind === 'blocked') throw new HiveError('blocked', `${name}: ${decided.reason}`, { hint: decided.hint })
    if (facts.unitEnabled) await systemctl('disable', unitOf(name), signal)
    if (facts.unitActive) await systemctl('stop', unitOf(name), signal)
    if ((await readStatusOf(name, signal)) !== undefined) await drbdsetup(['down', name], { signal })
    if (facts.dockerDevice !== undefined) await dockerDelete(`/volumes/${encodeURIComponent(name)}`, { signal })
    for (const file of facts.files) await removeFile(file)
    // Another volume of this name must not find what was begun with this one.
    await note(name, { madeDisk: undefined, firstGeneration: undefined, formatting: undefined, forget: undefined })
    for (const volumeGroup of facts.volumeGroups) {
      context.log(`logical volume ${volumeGroup}/${name} is removed, the data of ${name} (minor ${minor}) on this host with it`)
      await lvm(['lvremove', '--yes', `${volumeGroup}/${name}`], { signal })
    }
  },
}

async function look(spec: RemoveMirroredVolume, { signal }: StepContext): Promise<RemovalFacts> {
  const { name, minor } = spec
  const groups = new Set([...spec.volumeGroups, ...volumeGroupIn((await readResourceFile(name)) ?? '', name)])
  const files = await Promise.all(filesOf(name).map(async (file) => ((await exists(file)) ? [file] : [])))
  const [volume, containers, services, resource, holders, volumes, unit] = await Promise.all([
    inspectVolume(name, signal),
    dockerGet<readonly ContainerListed[]>('/containers/json', { query: { all: 'true', filters: { volume: [name] } }, signal }),
    servicesMounting(name, signal),
    readStatusOf(name, signal).catch(noneWithoutDrbd),
    holdersOf(minor),
    readVolumes(signal),
    unitStatus(unitOf(name)),
  ])
  return {
    dockerDevice: volume === undefined ? undefined : (volume.Options?.['device'] ?? ''),
    containers: containers.map(({ Names, Id }) => Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12)),
    services,
    resource,
    holders,
    files: files.flat(),
    unitEnabled: unit.file.startsWith('enabled'),
    unitActive: unit.active === 'active',
    volumeGroups: volumes.filter((one) => one.name === name && groups.has(one.volumeGroup)).map(({ volumeGroup }) => volumeGroup),
  }
}

/** Only a manager can say; the others are asked too, and one of them is a manager. */
async function servicesMounting(name: string, signal: AbortSignal): Promise<string[]> {
  const { Swarm } = await recentInfo(signal)
  if (!Swarm.ControlAvailable) return []
  const services = await recentServices(signal)
  return services.flatMap(({ Spec }) =>
    (Spec.TaskTemplate.ContainerSpec?.Mounts ?? []).some((mount) => mount.Type === 'volume' && mount.Source === name) ? [Spec.Name] : [],
  )
}

/** A host on which DRBD's tools never were, or are gone, has no resource. */
function noneWithoutDrbd(error: unknown): undefined {
  const cause = error instanceof HiveError ? error.cause : undefined
  if (cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}
