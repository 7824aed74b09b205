/** The repository server's agent and a hive host's, in this process on loopback; the service's data is a folder, its commands run here. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { ChannelCredentials, type Client } from '@grpc/grpc-js'
import pino from 'pino'
import { type BackupEvent, BackupServiceClient, BackupStoreServiceClient, BackupEvent_Kind as Kind } from '#gen/hive/v1/backup.ts'
import type { BackupSchedule, BackupScript, BackupTarget, EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { type Agent, startAgent } from '../../../agent/server/agent.ts'
import type { ServicePlaces } from '../../../agent/server/backup-service.ts'
import { hostPlace } from '../../../agent/watchers/backup/place.ts'
import { rehearseCommand, rehearseDirectory } from '../../../agent/watchers/backup/rehearse.ts'
import { type Issued, SiteCa } from '../agent-core/site-ca.ts'

export const hive = 'hive0.example.site'
export const repository = 'hive3.example.site'

export const script = (changes: Partial<BackupScript>): BackupScript => ({
  service: 'web',
  name: 'pages',
  directory: '',
  backupCommand: '',
  backupFile: '',
  restoreCommand: '',
  restoreFile: '',
  batchScripts: [],
  drillCommand: '',
  standalone: false,
  container: '',
  onHost: false,
  stopUnits: [],
  stopContainers: [],
  packed: false,
  ...changes,
})

export const target = (changes: Partial<BackupTarget>): BackupTarget => ({ name: 'pages', service: 'web', ext: 'tar.gz', noFile: false, ...changes })

export interface TwoAgents {
  readonly folder: string
  /** Of the repository server. */
  readonly backups: string
  readonly stateDir: string
  readonly store: BackupStoreServiceClient
  readonly source: BackupServiceClient
  /** A client of the hive host that shows this certificate. */
  sourceAs(issued: Issued): BackupServiceClient
  readonly ca: SiteCa
  /** Whether a task of the service runs. */
  running: boolean
  configure(scripts: readonly BackupScript[], targets: readonly BackupTarget[], schedule?: Partial<BackupSchedule>): void
  close(): Promise<void>
}

export async function twoAgents(restic?: string): Promise<TwoAgents> {
  const ca = await SiteCa.make('backup site')
  const folder = mkdtempSync(join(tmpdir(), 'backup-agents-'))
  const backups = join(folder, 'backup')
  const clients: Client[] = []
  let running = true
  const places: ServicePlaces = {
    running: async () => (running ? [{ service: 'web', slot: 1 }] : []),
    place: async () => hostPlace,
    // A folder of its own in the place of a container's.
    rehearse: async (one, data, expected, onLine, signal) => {
      const trial = mkdtempSync(join(folder, 'trial-'))
      const input = { script: { ...one, directory: one.directory === '' ? '' : trial }, data, ...expected, signal, onLine }
      return one.directory === '' ? rehearseCommand(input, hostPlace) : rehearseDirectory(input, hostPlace)
    },
  }
  const agentOf = async (host: string): Promise<{ readonly agent: Agent; readonly home: string }> => {
    const home = join(folder, host)
    const pkiDir = join(home, 'pki')
    mkdirSync(pkiDir, { recursive: true })
    const own = await ca.issue('hive:agent', host)
    writeFileSync(join(pkiDir, 'ca.pem'), ca.pem)
    writeFileSync(join(pkiDir, 'cert.pem'), own.cert)
    writeFileSync(join(pkiDir, 'key.pem'), own.key, { mode: 0o600 })
    const config = { host, address: '127.0.0.1', port: 0, stateDir: join(home, 'state'), pkiDir }
    const agent = await startAgent({
      config,
      executors: {},
      log: pino({ level: 'silent' }),
      listen: '127.0.0.1',
      backups: { configPath: join(home, 'backup.json'), places, patience: 1, ...(restic === undefined ? {} : { restic }) },
    })
    return { agent, home }
  }
  const ofHive = await agentOf(hive)
  const ofRepository = await agentOf(repository)
  const connect = <C extends Client>(
    make: new (to: string, credentials: ChannelCredentials, options: object) => C,
    issued: Issued,
    { port }: Agent,
    host: string,
  ): C => {
    const context = createSecureContext({ ca: ca.pem, cert: issued.cert, key: issued.key, minVersion: 'TLSv1.3' })
    const client = new make(`127.0.0.1:${port}`, ChannelCredentials.createFromSecureContext(context), { 'grpc.ssl_target_name_override': host })
    clients.push(client)
    return client
  }
  const admin = await ca.issue('hive:admin', 'admin')
  const { username, gid } = userInfo()
  return {
    folder,
    backups,
    ca,
    stateDir: join(ofRepository.home, 'state'),
    store: connect(BackupStoreServiceClient, admin, ofRepository.agent, repository),
    source: connect(BackupServiceClient, admin, ofHive.agent, hive),
    sourceAs: (issued) => connect(BackupServiceClient, issued, ofHive.agent, hive),
    get running() {
      return running
    },
    set running(now: boolean) {
      running = now
    },
    configure: (scripts, targets, schedule = {}) => {
      const write = (host: string, config: EnsureBackups): void => writeFileSync(join(folder, host, 'backup.json'), JSON.stringify(config))
      write(hive, { repository, scripts: scripts.filter(({ service }) => service !== '') })
      const plan: BackupSchedule = {
        at: '01:00',
        folder: backups,
        owner: username,
        group: groupOf(gid),
        hosts: [{ name: hive, address: '127.0.0.1', port: ofHive.agent.port }],
        targets: [...targets],
        offsite: undefined,
        ...schedule,
      }
      write(repository, { repository, scripts: scripts.filter(({ service }) => service === ''), schedule: plan })
    },
    close: async () => {
      for (const client of clients) client.close()
      await Promise.all([ofHive.agent.stop(), ofRepository.agent.stop()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const groupOf = (gid: number): string => {
  if (gid === 0) return 'root'
  return userInfo().username
}

/** All that was told, with the names of kinds. */
export async function told(
  events: AsyncIterable<BackupEvent>,
): Promise<readonly { readonly kind: string; readonly name: string; readonly text: string; readonly file: string; readonly sha256: string }[]> {
  const all: { kind: string; name: string; text: string; file: string; sha256: string }[] = []
  for await (const { kind, name, text, file, sha256 } of events) {
    if (kind === Kind.PROGRESS) continue
    all.push({ kind: Object.entries(Kind).find(([, value]) => value === kind)?.[0] ?? '', name, text, file, sha256 })
  }
  return all
}
