/** Docker of the host. */
import { HiveError } from '../../../../proto/errors.ts'
import type { Collector } from '../collector.ts'

export const docker: Collector = {
  name: 'docker',
  every: 60,
  async collect({ round }) {
    try {
      const [info, containers] = await Promise.all([round.info(), round.containers()])
      return [
        { key: 'hive.docker.up', value: 1 },
        { key: 'hive.docker.version', value: info.ServerVersion },
        { key: 'hive.docker.containers.running', value: containers.length },
        { key: 'hive.docker.containers.unhealthy', value: containers.filter(({ Status }) => Status.includes('(unhealthy)')).length },
      ]
    } catch (error) {
      if (!(error instanceof HiveError) || !['unreachable', 'timeout'].includes(error.code)) throw error
      return [{ key: 'hive.docker.up', value: 0 }]
    }
  },
}
