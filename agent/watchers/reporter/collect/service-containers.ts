/** Containers of the swarm's services on this host. */
import type { ContainerListed } from '../../../adapters/docker/api-types.ts'
import type { CollectContext } from '../collector.ts'
import { taskName } from './swarm.ts'

export interface ServiceContainer {
  readonly id: string
  readonly service: string
  readonly task: string
  /** Named volumes: where they are in the container, and on the host. */
  readonly volumes: readonly { readonly name: string; readonly target: string; readonly folder: string }[]
}

const label = {
  service: 'com.docker.swarm.service.name',
  task: 'com.docker.swarm.task.name',
} as const

/** Docker names a task SERVICE.SLOT.ID, or SERVICE.NODE.ID where it runs on all hosts. */
export function serviceContainers(listed: readonly ContainerListed[], hostName: string): readonly ServiceContainer[] {
  return listed.flatMap(({ Id, Labels, Mounts }) => {
    const service = Labels?.[label.service]
    const name = Labels?.[label.task]
    if (service === undefined || name === undefined) return []
    const slot = Number(name.slice(service.length + 1).split('.')[0])
    return [
      {
        id: Id,
        service,
        task: taskName(Number.isInteger(slot) ? slot : undefined, hostName),
        volumes: (Mounts ?? []).flatMap(({ Type, Name = '', Source = '', Destination = '' }) =>
          Type === 'volume' && Source !== '' ? [{ name: Name, target: Destination, folder: Source }] : [],
        ),
      },
    ]
  })
}

export const ownContainers = async ({ round }: Pick<CollectContext, 'round'>): Promise<readonly ServiceContainer[]> => {
  const [listed, info] = await Promise.all([round.containers(), round.info()])
  return serviceContainers(listed, info.Name)
}
