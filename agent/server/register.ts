/** The services of the agent. */
import type { BlobStore } from '../runs/blobs.ts'
import type { ExecutionEnvironment } from '../runs/execute.ts'
import type { LeaseHolder } from '../runs/lease.ts'
import type { Runs } from '../runs/runs.ts'
import type { FailoverSupervisor } from '../watchers/failover-supervisor.ts'
import type { ServerContext } from './context.ts'
import { dockerServices } from './docker/index.ts'
import { doctorService } from './doctor-service.ts'
import { drbdService } from './drbd-service.ts'
import { healthService } from './health.ts'
import { hostService } from './host-service.ts'
import { version } from './identity.ts'
import { reflectionServices } from './reflection.ts'
import type { ServiceRegistration } from './service.ts'
import { blobService, lockService, stepService } from './step-service.ts'
import { supervisorService } from './supervisor-service.ts'

export interface Parts {
  readonly context: ServerContext
  readonly runs: Runs
  readonly environment: ExecutionEnvironment
  readonly lease: LeaseHolder
  readonly blobs: BlobStore
  readonly supervisor: FailoverSupervisor
  readonly started: Date
  /** What it says it is. Default: the version it was built as. */
  readonly version: string | undefined
  readonly reloadCertificate: () => Promise<void>
}

export function allServices(parts: Parts): ServiceRegistration[] {
  const all: ServiceRegistration[] = [
    stepService(parts.runs, parts.environment),
    lockService(parts.lease),
    blobService(parts.blobs, parts.runs),
    hostService(parts.context.config, parts.started, parts.version ?? version, parts.reloadCertificate),
    ...dockerServices(parts.context),
    drbdService(parts.context),
    supervisorService(parts.supervisor),
    doctorService(parts.context),
    healthService(() => all),
    ...reflectionServices(() => all),
  ]
  return all
}
