/** grpc.health.v1: "" is the agent as a whole, else one service. */
import { setTimeout as wait } from 'node:timers/promises'
import { type HealthCheckResponse, HealthService, HealthCheckResponse_ServingStatus as Status } from '#gen/grpc/health/v1/health.ts'
import { HiveError } from '../../proto/errors.ts'
import { type ServiceRegistration, service } from './service.ts'

/** Milliseconds between two looks for a watcher, and for one look. */
const interval = 5000

export function healthService(registrations: () => readonly ServiceRegistration[]): ServiceRegistration {
  const statusOf = async (name: string, signal: AbortSignal): Promise<HealthCheckResponse['status']> => {
    if (name === '') return Status.SERVING
    const found = registrations().find((registration) => registration.name === name)
    if (found === undefined) return Status.SERVICE_UNKNOWN
    if (found.healthy === undefined) return Status.SERVING
    const healthy = await found.healthy(AbortSignal.any([signal, AbortSignal.timeout(interval)])).catch(() => false)
    return healthy ? Status.SERVING : Status.NOT_SERVING
  }
  return service(HealthService, {
    check: async (request, { signal }) => {
      const status = await statusOf(request.service, signal)
      if (status === Status.SERVICE_UNKNOWN) throw new HiveError('not-found', `no service ${request.service} here`)
      return { status }
    },
    watch: async function* (request, { signal }) {
      let told: HealthCheckResponse['status'] | undefined
      while (!signal.aborted) {
        const status = await statusOf(request.service, signal)
        if (status !== told) yield { status }
        told = status
        await wait(interval, undefined, { signal }).catch(() => undefined)
      }
    },
  })
}
