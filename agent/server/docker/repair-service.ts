/** Any step, by hand, with the executors of a deploy. */
import { RepairServiceService } from '#gen/hive/v1/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'

export const repairService = (context: ServerContext): ServiceRegistration =>
  service(RepairServiceService, {
    async check(step, { signal }) {
      const outcome = await context.check(step, signal)
      switch (outcome.kind) {
        case 'ok':
          return { outcome: 'ok', reason: '', before: '', after: '' }
        case 'change':
          return { outcome: 'change', reason: outcome.reason, before: outcome.before ?? '', after: outcome.after ?? '' }
        case 'blocked':
          return { outcome: 'blocked', reason: outcome.reason, before: '', after: '' }
      }
    },

    apply: (step, { signal }) => context.operate(step, signal),
  })
