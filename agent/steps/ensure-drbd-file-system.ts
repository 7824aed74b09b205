/** The file system of a mirrored volume fills its device, on the host that has it mounted. Elsewhere there is nothing to do. */
import type { EnsureDrbdFileSystem } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import { readMetadata } from '../adapters/drbd/metadata.ts'
import { readStatus } from '../adapters/drbd/read-status.ts'
import { requireDrbd9 } from '../adapters/drbd/version.ts'
import { asMounted, growMounted, mountPointOf, readFileSystem } from '../adapters/file-system.ts'
import { readVolumes } from '../adapters/lvm.ts'
import { readMounts } from '../adapters/mounts.ts'
import { fillsNot, growsTo, mayGrow } from './drbd/decide-volume.ts'
import { change, type Executor, ok } from './executor.ts'

export const ensureDrbdFileSystem: Executor<EnsureDrbdFileSystem> = {
  exclusive: (spec) => `volume ${spec.name}`,

  async check(spec, context) {
    const state = await look(spec, context.signal)
    if (state === undefined) return ok
    // While the device itself is still to grow, the step that grows it comes first, and this one is to be done after it.
    return state.deviceGrows || state.short ? change('the file system is smaller than asked for', `${state.fileSystemBytes} bytes`) : ok
  },

  async apply(spec, context) {
    const state = await look(spec, context.signal)
    if (state?.short !== true) return
    const device = `/dev/drbd${spec.minor}`
    const mountPoint = mountPointOf(device, await readMounts())
    if (mountPoint === undefined)
      throw new HiveError('blocked', `${device} is in use here and not mounted for writing`, { hint: 'run again when its container runs' })
    context.log(`growing ${spec.fstype} at ${mountPoint}`)
    await growMounted(spec.fstype, device, mountPoint, context.signal)
  },

  async verify(spec, context) {
    const state = await look(spec, context.signal)
    return state?.short === true ? change('the file system does not fill its device') : ok
  },
}

/** undefined: not this host's business. */
async function look(spec: EnsureDrbdFileSystem, signal: AbortSignal) {
  await requireDrbd9()
  const status = (await readStatus(signal)).find(({ name }) => name === spec.name)
  const sizeKib = status?.devices[0]?.sizeKib
  if (status?.role !== 'Primary' || sizeKib === undefined) return undefined
  const disk = (await readVolumes(signal)).find((one) => one.volumeGroup === spec.volumeGroup && one.name === spec.name)
  if (disk === undefined) return undefined
  const path = `/dev/${spec.volumeGroup}/${spec.name}`
  const onDisk = await readFileSystem(path, signal)
  if (onDisk?.type !== spec.fstype) return undefined
  const fileSystem = fillsNot(onDisk, sizeKib) ? await asMounted(onDisk, `/dev/drbd${spec.minor}`, await readMounts(), signal) : onDisk
  const maxPeers = mayGrow(spec, disk.sizeBytes, sizeKib) ? (await readMetadata(spec.minor, path, signal))?.maxPeers : undefined
  const deviceGrows = disk.sizeBytes < spec.sizeBytes || growsTo(spec, { diskBytes: disk.sizeBytes, maxPeers }, sizeKib) !== undefined
  return { short: fillsNot(fileSystem, sizeKib), deviceGrows, fileSystemBytes: fileSystem.sizeBytes }
}
