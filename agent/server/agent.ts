/** The running agent: its memory, its services, its listener. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Server } from '@grpc/grpc-js'
import type { Logger } from 'pino'
import { messageOf } from '../../proto/errors.ts'
import { removeLeftovers } from '../adapters/ansible/work-folder.ts'
import { usePkiFolder } from '../adapters/pki-folder.ts'
import { useStateFolder } from '../adapters/state-folder.ts'
import { BlobStore, blobsOf } from '../runs/blobs.ts'
import type { ExecutionEnvironment } from '../runs/execute.ts'
import { KeyedLock } from '../runs/keyed-lock.ts'
import { LeaseHolder } from '../runs/lease.ts'
import { operate } from '../runs/operate.ts'
import { checkStep } from '../runs/plan.ts'
import { Runs, type RunsOptions } from '../runs/runs.ts'
import { StepOutcomes } from '../runs/step-outcomes.ts'
import type { Executors } from '../steps/executor.ts'
import { defaultBackupConfig } from '../watchers/backup/config.ts'
import { BackupKeeper } from '../watchers/backup/keeper.ts'
import { BackupScheduler } from '../watchers/backup-scheduler.ts'
import { FailoverSupervisor } from '../watchers/failover-supervisor.ts'
import { FirewallKeeper } from '../watchers/firewall-keeper.ts'
import { RegistryUpkeep } from '../watchers/registry-upkeep.ts'
import { Reporter } from '../watchers/reporter.ts'
import { SwarmFollower } from '../watchers/swarm-follower.ts'
import { AuditLog } from './audit-log.ts'
import { dockerPlaces, type ServicePlaces } from './backup-service.ts'
import { implement } from './calls.ts'
import type { AgentConfig } from './config.ts'
import type { ServerContext } from './context.ts'
import { MtlsServerCredentials, watchPki } from './credentials.ts'
import { Doorkeeper } from './doorkeeper.ts'
import { version as ownVersion } from './identity.ts'
import { keySweep } from './key-sweep.ts'
import { loadPki } from './pki.ts'
import { allServices } from './register.ts'
import { readRevoked } from './revocations.ts'

export interface Agent {
  readonly port: number
  /** Reads the certificate anew. */
  reload(): Promise<void>
  /** Cancels runs, lets calls end for a moment, closes. */
  stop(): Promise<void>
}

const megabyte = 1024 * 1024

/** Both sides ping: a peer that vanished is noticed within half a minute. */
const serverOptions = {
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': 16 * megabyte,
  'grpc.max_send_message_length': 16 * megabyte,
}
/** Milliseconds that open calls get at the end. */
const farewell = 2000

export interface AgentOptions {
  readonly config: AgentConfig
  readonly executors: Partial<Executors>
  readonly log: Logger
  readonly now?: () => Date
  /** Where it listens. Default: everywhere. */
  readonly listen?: string
  /** For tests: what it says it is. */
  readonly version?: string
  /** For tests: milliseconds after which a connection without a handshake is closed. */
  readonly handshake?: number
  /** For tests: other limits than usual. */
  readonly runs?: Partial<Pick<RunsOptions, 'grace' | 'heartbeat' | 'keep' | 'parallel'>>
  /** For tests: other places than /etc and docker. */
  readonly backups?: { readonly configPath: string; readonly places: ServicePlaces; readonly patience?: number; readonly restic?: string }
}

/** Resolves when it listens. Throws HiveError before the host is enrolled, and whatever keeps it from listening. */
export async function startAgent({
  config,
  executors,
  log,
  now = () => new Date(),
  listen = '0.0.0.0',
  version,
  handshake,
  runs: limits = {},
  backups = { configPath: defaultBackupConfig, places: dockerPlaces },
}: AgentOptions): Promise<Agent> {
  const started = now()
  const pki = await loadPki(config.pkiDir)
  usePkiFolder(config.pkiDir)
  await mkdir(config.stateDir, { recursive: true, mode: 0o711 })
  useStateFolder(config.stateDir)
  const work = join(config.stateDir, 'work')
  await removeLeftovers(work)
  const blobs = new BlobStore(join(config.stateDir, 'blobs'), now)
  const sweep = keySweep(work, blobs, () => blobsOf(runs.activeSteps()))
  const outcomes = await StepOutcomes.load(join(config.stateDir, 'step-outcomes.json'), now)
  const environment: ExecutionEnvironment = {
    outcomes,
    hostName: config.host,
    executors,
    keys: new KeyedLock(),
    blobPath: (sha256) => {
      sweep.later()
      return blobs.path(sha256)
    },
    now,
    ...limits,
  }
  const runs = await Runs.open({ ...environment, ...limits, folder: join(config.stateDir, 'runs') })
  sweep.later()
  const context: ServerContext = {
    config,
    log,
    executors: executors as Executors,
    operate: async (step, signal) => {
      const outcome = await operate(step, environment, signal, (line) => log.info({ step: step.title }, line))
      return { changed: outcome.changed, reason: outcome.changed ? outcome.reason : '' }
    },
    exclusive: async (key, signal, work) => {
      const grip = await environment.keys.acquire(key, 'an operation by hand', signal)
      try {
        return await work()
      } finally {
        grip.release()
      }
    },
    check: (step, signal) => checkStep(step, environment, signal),
  }
  const credentials = new MtlsServerCredentials(pki, handshake)
  const doorkeeper = new Doorkeeper(pki.ca, await readRevoked(config.pkiDir), now)
  const watcher = watchPki(
    config.pkiDir,
    async (pem) => {
      credentials.reload(pem)
      const ended = doorkeeper.trust(pem.ca, await readRevoked(config.pkiDir))
      log.info(ended === 0 ? {} : { ended }, 'the certificate was read anew')
    },
    (error) => log.warn(`the certificate was not read anew: ${messageOf(error)}`),
  )
  const server = new Server(serverOptions)
  const supervisor = new FailoverSupervisor({ stateDir: config.stateDir, keys: environment.keys, log, now })
  const follower = new SwarmFollower({ log, now })
  const firewall = new FirewallKeeper({ keys: environment.keys, log })
  const keeper = new BackupKeeper({ ...backups, stateDir: config.stateDir, pkiDir: config.pkiDir, host: config.host, log, now })
  const scheduler = new BackupScheduler({ keeper, stateDir: config.stateDir, log, now })
  const reporter = new Reporter({
    stateDir: config.stateDir,
    pkiDir: config.pkiDir,
    version: version ?? ownVersion,
    started,
    runs: { lastEnded: () => runs.lastEnded(), failed: () => outcomes.titles('failed'), different: () => outcomes.titles('different') },
    log,
    now,
  })
  const lease = new LeaseHolder(join(config.stateDir, 'lock.json'), now)
  const registryUpkeep = new RegistryUpkeep({ stateDir: config.stateDir, pkiDir: config.pkiDir, keys: environment.keys, lease, log, now })
  const auditLog = new AuditLog(config.stateDir, (error) => log.warn(`the audit log was not written: ${messageOf(error)}`))
  const parts = {
    context,
    auditLog,
    runs,
    environment,
    lease,
    blobs,
    supervisor,
    follower,
    registryUpkeep,
    backups: { ...backups, keeper, now },
    started,
    version,
    reloadCertificate: watcher.reload,
  }
  for (const registration of allServices(parts)) server.addService(registration.definition, implement(registration, { log, doorkeeper, auditLog }))
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${listen}:${config.port}`, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  supervisor.start()
  follower.start()
  firewall.start()
  registryUpkeep.start()
  scheduler.start()
  reporter.start()
  return {
    port,
    reload: watcher.reload,
    stop: async () => {
      watcher.close()
      sweep.close()
      keeper.stop()
      await Promise.all([runs.close(), supervisor.stop(), follower.stop(), firewall.stop(), registryUpkeep.stop(), scheduler.stop(), reporter.stop()])
      await Promise.all([outcomes.settled(), auditLog.settled()])
      await new Promise<void>((resolve) => {
        const impatience = setTimeout(() => {
          server.forceShutdown()
          resolve()
        }, farewell)
        server.tryShutdown(() => {
          clearTimeout(impatience)
          resolve()
        })
      })
    },
  }
}
