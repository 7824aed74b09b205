/**
 * A docker volume exists on this host with these options. One with other options is never touched: it holds data. Its folder on an NFS
 * file system is made before it, so that the volume being there says that the folder is: looking for it would need a mount.
 */
import { mkdir, stat } from 'node:fs/promises'
import type { EnsureVolume } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import { createVolume, describeOptions, inspectVolume, sameOptions } from '../adapters/docker/volumes.ts'
import { assertMayMutate } from '../adapters/gate.ts'
import { makeNfsFolder, unmountNfsFolder } from '../adapters/nfs-folder.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

export const ensureVolume: Executor<EnsureVolume> = {
  exclusive: (spec) => `volume ${spec.name}`,

  async check(spec, context) {
    const driver = spec.driver === '' ? 'local' : spec.driver
    if (spec.nfsFolder?.server === '')
      return change('the address of its file system is known once build-infra is done', '', `${driver} ${describeOptions(spec.options)}`)
    const volume = await inspectVolume(spec.name, context.signal)
    if (volume === undefined) return change('does not exist', '', `${driver} ${describeOptions(spec.options)}`.trim())
    if (volume.Driver !== driver || !sameOptions(volume.Options ?? {}, spec.options))
      return blocked(
        `exists as ${volume.Driver} ${describeOptions(volume.Options ?? {})}, asked for is ${driver} ${describeOptions(spec.options)}`,
        `docker cannot change a volume: when its data is saved or not needed, docker volume rm ${spec.name} on this host, then run again`,
      )
    if (spec.directory !== '' && !(await isDirectory(spec.directory))) return change(`the folder ${spec.directory} is missing`)
    return ok
  },

  async apply(spec, context) {
    if (spec.directory !== '') {
      assertMayMutate(`make ${spec.directory}`)
      await mkdir(spec.directory, { recursive: true, mode: 0o755 })
    }
    if ((await inspectVolume(spec.name, context.signal)) !== undefined) return
    if (spec.nfsFolder !== undefined) {
      if (spec.nfsFolder.server === '') throw new HiveError('blocked', `the address of the file system of ${spec.name} is not known`)
      await makeNfsFolder(spec.nfsFolder, context.signal)
    }
    await createVolume(spec, context.signal)
  },

  async cleanup(spec) {
    if (spec.nfsFolder !== undefined) await unmountNfsFolder(spec.nfsFolder)
  },
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) throw new HiveError('conflict', `${path} is in the way: it is not a folder`)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
