/** The services of the agent. */
import type { BlobStore } from '../runs/blobs.ts'
import type { ExecutionEnvironment } from '../runs/execute.ts'
import type { LeaseHolder } from '../runs/lease.ts'
import type { Runs } from '../runs/runs.ts'
import type { BackupKeeper } from '../watchers/backup/keeper.ts'
import type { FailoverSupervisor } from '../watchers/failover-supervisor.ts'
import type { RegistryUpkeep } from '../watchers/registry-upkeep.ts'
import type { SwarmFollower } from '../watchers/swarm-follower.ts'
import type { AuditLog } from './audit-log.ts'
import { type BackupServiceOptions, backupService, backupStoreService } from './backup-service.ts'
import type { ServerContext } from './context.ts'
import { dockerServices } from './docker/index.ts'
import { doctorService } from './doctor-service.ts'
import { drbdService } from './drbd-service.ts'
import { followerService } from './follower-service.ts'
import { healthService } from './health.ts'
import { hostService } from './host-service.ts'
import { version } from './identity.ts'
import { logService } from './log-service.ts'
import { maintenanceService } from './maintenance-service.ts'
import { reflectionServices } from './reflection.ts'
import { registryService } from './registry-service.ts'
import type { ServiceRegistration } from './service.ts'
import { blobService, lockService, stepService } from './step-service.ts'
import { supervisorService } from './supervisor-service.ts'
import { auditService, trustService } from './trust-service.ts'
import { tunnelService } from './tunnel-service.ts'

export interface Parts {
  readonly context: ServerContext
  readonly runs: Runs
  readonly environment: ExecutionEnvironment
  readonly lease: LeaseHolder
  readonly blobs: BlobStore
  readonly supervisor: FailoverSupervisor
  readonly follower: SwarmFollower
  readonly registryUpkeep: RegistryUpkeep
  readonly backups: BackupServiceOptions & { readonly keeper: BackupKeeper }
  readonly started: Date
  /** What it says it is. Default: the version it was built as. */
  readonly version: string | undefined
  readonly reloadCertificate: () => Promise<void>
  readonly auditLog: AuditLog
}

export function allServices(parts: Parts): ServiceRegistration[] {
  const all: ServiceRegistration[] = [
    stepService(parts.runs, parts.environment),
    lockService(parts.lease),
    blobService(parts.blobs, parts.runs),
    hostService(parts.context.config, parts.started, parts.version ?? version, parts.reloadCertificate),
    trustService({ pkiDir: parts.context.config.pkiDir, reload: parts.reloadCertificate, now: () => new Date() }),
    auditService(parts.auditLog),
    ...dockerServices(parts.context),
    drbdService(parts.context),
    supervisorService(parts.supervisor),
    followerService(parts.follower),
    registryService(parts.registryUpkeep),
    doctorService(parts.context, {
      pkiDir: parts.context.config.pkiDir,
      supervisor: parts.supervisor,
      follower: parts.follower,
      lease: parts.lease,
      keeper: parts.backups.keeper,
      now: () => new Date(),
    }),
    backupService(parts.backups),
    backupStoreService(parts.backups.keeper),
    logService(),
    maintenanceService(() => new Date()),
    tunnelService(),
    healthService(() => all),
    ...reflectionServices(() => all),
  ]
  return all
}
