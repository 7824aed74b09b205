/** The failover supervisor from outside: what it saw and did, and holding it. */
import { SupervisorServiceService } from '#gen/hive/v1/supervisor.ts'
import type { FailoverSupervisor } from '../watchers/failover-supervisor.ts'
import { type ServiceRegistration, service } from './service.ts'

export const supervisorService = (supervisor: FailoverSupervisor): ServiceRegistration =>
  service(
    SupervisorServiceService,
    {
      status: () => supervisor.status(),
      hold: async ({ reason, seconds }, { caller }) => {
        await supervisor.hold({ by: caller.name, reason, seconds })
        return supervisor.status()
      },
      release: async (_request, { caller }) => {
        await supervisor.release(caller.name)
        return supervisor.status()
      },
    },
    () => supervisor.healthy(),
  )
