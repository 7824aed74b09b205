/** All services of one host's agent over one connection. */
import { HealthService } from '#gen/grpc/health/v1/health.ts'
import { BackupServiceService, BackupStoreServiceService } from '#gen/hive/v1/backup.ts'
import {
  ContainerServiceService,
  ImageServiceService,
  NetworkServiceService,
  RepairServiceService,
  ServiceServiceService,
  SwarmServiceService,
  VolumeServiceService,
} from '#gen/hive/v1/docker.ts'
import { DoctorServiceService } from '#gen/hive/v1/doctor.ts'
import { DrbdServiceService } from '#gen/hive/v1/drbd.ts'
import { FollowerServiceService } from '#gen/hive/v1/follower.ts'
import { HostServiceService, type InfoResponse } from '#gen/hive/v1/host.ts'
import { LogServiceService } from '#gen/hive/v1/logs.ts'
import { RegistryServiceService } from '#gen/hive/v1/registry.ts'
import { BlobServiceService, LockServiceService, StepServiceService, type UploadBlobRequest, type UploadBlobResponse } from '#gen/hive/v1/run.ts'
import { SupervisorServiceService } from '#gen/hive/v1/supervisor.ts'
import { AuditServiceService, TrustServiceService } from '#gen/hive/v1/trust.ts'
import { TunnelServiceService } from '#gen/hive/v1/tunnel.ts'
import { MaintenanceServiceService } from '#gen/hive/v1/zabbix.ts'
import { HiveError } from '../../proto/errors.ts'
import type { Credentials } from '../pki/stage-pki.ts'
import { AgentChannel } from './channel.ts'
import { type AgentAddress, directWay, type Way } from './dialer.ts'
import type { CallOptions } from './method.ts'
import { needsTogether, whyNotTogether } from './skew.ts'

/** Bytes; what the contract allows and what is fastest. */
const chunkSize = 1024 * 1024

export interface BlobContent {
  readonly sha256: string
  readonly size: number
  readonly open: () => AsyncIterable<Uint8Array>
}

export interface ClientOptions {
  /** Of this client alone. Default: directly. */
  readonly way?: Way
  /** The coordinator's: agents too far from it are asked nothing that depends on both meaning the same. Default: they are not compared. */
  readonly version?: string | undefined
}

/** Milliseconds for the question which version answers, where it was not asked before. */
const versionDeadline = 10_000

export class AgentClient {
  readonly host: string
  readonly #version: string | undefined
  /** What the agent last told of itself. */
  #info: InfoResponse | undefined
  readonly channel: AgentChannel
  readonly step
  readonly lock
  readonly blob
  readonly hostService
  readonly swarm
  readonly network
  readonly volume
  readonly image
  readonly service
  readonly container
  readonly drbd
  readonly repair
  readonly doctor
  readonly supervisor
  readonly follower
  readonly registry
  readonly backup
  readonly backupStore
  readonly logs
  readonly tunnel
  readonly maintenance
  readonly trust
  readonly audit
  readonly health

  constructor(to: AgentAddress, credentials: Credentials, { way = directWay(to), version }: ClientOptions = {}) {
    this.host = to.host
    this.#version = version
    const channel = new AgentChannel(to.host, way, credentials, version === undefined ? undefined : (path, signal) => this.#mayCall(path, signal))
    this.channel = channel
    this.step = channel.service(StepServiceService)
    this.lock = channel.service(LockServiceService)
    this.blob = channel.service(BlobServiceService)
    this.hostService = channel.service(HostServiceService)
    this.swarm = channel.service(SwarmServiceService)
    this.network = channel.service(NetworkServiceService)
    this.volume = channel.service(VolumeServiceService)
    this.image = channel.service(ImageServiceService)
    this.service = channel.service(ServiceServiceService)
    this.container = channel.service(ContainerServiceService)
    this.drbd = channel.service(DrbdServiceService)
    this.repair = channel.service(RepairServiceService)
    this.doctor = channel.service(DoctorServiceService)
    this.supervisor = channel.service(SupervisorServiceService)
    this.follower = channel.service(FollowerServiceService)
    this.registry = channel.service(RegistryServiceService)
    this.backup = channel.service(BackupServiceService)
    this.backupStore = channel.service(BackupStoreServiceService)
    this.logs = channel.service(LogServiceService)
    this.tunnel = channel.service(TunnelServiceService)
    this.maintenance = channel.service(MaintenanceServiceService)
    this.trust = channel.service(TrustServiceService)
    this.audit = channel.service(AuditServiceService)
    this.health = channel.service(HealthService)
  }

  /**
   * Connects and asks who is there. Rejects with HiveError 'unreachable' after `deadline` milliseconds, and with 'conflict'
   * when another host's agent answers.
   */
  async connect(deadline: number, signal?: AbortSignal): Promise<InfoResponse> {
    const info = await this.hostService.info({}, { deadline, signal }).catch((error: unknown) => {
      if (error instanceof HiveError && error.code === 'timeout')
        throw new HiveError('unreachable', `${this.host} does not answer within ${deadline / 1000} s`, { host: this.host, cause: error })
      throw error
    })
    if (info.host !== this.host)
      throw new HiveError('conflict', `the agent at the address of ${this.host} says it is ${info.host}`, {
        host: this.host,
        hint: 'check the addresses in the inventory',
      })
    this.#info = info
    return info
  }

  /** Sends a blob in chunks of 1 MiB, no faster than the agent takes it. `sent` is told the bytes so far. */
  uploadBlob(content: BlobContent, options: CallOptions & { readonly sent?: ((bytes: number) => void) | undefined } = {}): Promise<UploadBlobResponse> {
    return this.blob.upload(uploadMessages(content, options.sent), options)
  }

  /** Why this coordinator must not change anything through this agent; undefined where it may, or where the agent was not asked yet. */
  whyNotTogether(): HiveError | undefined {
    return this.#version === undefined || this.#info === undefined ? undefined : whyNotTogether(this.#version, this.#info)
  }

  async #mayCall(path: string, signal: AbortSignal | undefined): Promise<void> {
    if (!needsTogether(path)) return
    if (this.#info === undefined) await this.connect(versionDeadline, signal)
    const why = this.whyNotTogether()
    if (why !== undefined) throw why
  }

  close(): void {
    this.channel.close()
  }
}

async function* uploadMessages(content: BlobContent, sent: ((bytes: number) => void) | undefined): AsyncGenerator<UploadBlobRequest> {
  yield { part: { $case: 'header', value: { sha256: content.sha256, size: BigInt(content.size) } } }
  let total = 0
  for await (const piece of content.open()) {
    for (let from = 0; from < piece.length; from += chunkSize) {
      const part = piece.subarray(from, from + chunkSize)
      yield { part: { $case: 'chunk', value: Buffer.from(part.buffer, part.byteOffset, part.byteLength) } }
      total += part.length
      sent?.(total)
    }
  }
}
