/** How full the volumes of the tasks on this host are. */
import { fillOf, mountOf } from '../../../adapters/disk-fill.ts'
import { readMounts } from '../../../adapters/mounts.ts'
import type { Collector } from '../collector.ts'
import { keyOf, type Sample } from '../value.ts'
import { ownContainers } from './service-containers.ts'

export const volumes: Collector = {
  name: 'volumes',
  every: 600,
  deadline: 30_000,
  concerns: ({ swarmHost }) => swarmHost !== '',
  async collect(context) {
    const { signal, configuration } = context
    const [containers, mounts] = await Promise.all([ownContainers(context), readMounts()])
    const samples: Sample[] = []
    const problems: unknown[] = []
    for (const { service, task, volumes: used } of containers) {
      for (const { target, folder } of used) {
        try {
          const fill = await fillOf(folder, mountOf(folder, mounts)?.fsType ?? '', signal)
          samples.push(
            { host: configuration.swarmHost, key: keyOf('hive.volume.pused', service, task, target), value: fill.usedPercent },
            { host: configuration.swarmHost, key: keyOf('hive.volume.free', service, task, target), value: fill.freeBytes },
          )
        } catch (error) {
          problems.push(error)
        }
      }
    }
    if (samples.length === 0 && problems.length > 0) throw problems[0]
    return samples
  },
}
