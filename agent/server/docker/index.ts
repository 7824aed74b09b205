/** Typed operations on this host's docker and on the swarm, for repair by hand and for the command line. */
import { daemonInfo } from '../../adapters/docker/swarm.ts'
import type { ServerContext } from '../context.ts'
import type { ServiceRegistration } from '../service.ts'
import { containerService } from './container-service.ts'
import { imageService } from './image-service.ts'
import { networkService } from './network-service.ts'
import { repairService } from './repair-service.ts'
import { serviceService } from './service-service.ts'
import { swarmService } from './swarm-service.ts'
import { volumeService } from './volume-service.ts'

export function dockerServices(context: ServerContext): ServiceRegistration[] {
  const ofDocker = [swarmService, networkService, volumeService, imageService, serviceService, containerService].map((make) => make(context, dockerAnswers))
  return [...ofDocker, repairService(context)]
}

/** These services serve only while docker does. */
const dockerAnswers = (signal: AbortSignal): Promise<boolean> =>
  daemonInfo({ signal, timeout: 5000 }).then(
    () => true,
    () => false,
  )
