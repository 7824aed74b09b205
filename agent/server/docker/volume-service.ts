/** Docker volumes of this host. */
import { type ListVolumesResponse, VolumeServiceService } from '#gen/hive/v1/docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Volume } from '../../adapters/docker/api-types.ts'
import { optionsWithoutPasswords } from '../../adapters/docker/passwords.ts'
import { inspectVolume } from '../../adapters/docker/volumes.ts'
import { dockerDelete, dockerGet } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'

export const volumeService = (context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    VolumeServiceService,
    {
      list: (_request, { signal }) => listVolumes(signal),

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureVolume', value: request } } }, signal),

      async remove({ name, confirm }, { signal }) {
        if ((await inspectVolume(name, signal)) === undefined) return { changed: false, reason: 'does not exist' }
        if (confirm !== name) throw new HiveError('blocked', `the data of ${name} on this host would be gone`, { hint: `repeat with "confirm": "${name}"` })
        await dockerDelete(`/volumes/${encodeURIComponent(name)}`, { signal })
        return { changed: true, reason: 'removed' }
      },
    },
    healthy,
  )

export async function listVolumes(signal: AbortSignal): Promise<ListVolumesResponse> {
  const { Volumes } = await dockerGet<{ Volumes: readonly Volume[] | null }>('/volumes', { signal })
  return {
    volumes: (Volumes ?? []).map((volume) => ({
      name: volume.Name,
      driver: volume.Driver,
      options: optionsWithoutPasswords(volume.Options ?? {}),
      mountpoint: volume.Mountpoint,
      labels: { ...volume.Labels },
    })),
  }
}
