/**
 * The condition of a host as a whole: what its agent can tell of it in one answer. Parts that cannot be looked at are named with the reason, and keep
 * no other part from being told.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ListBackupsResponse } from '#gen/hive/v1/backup.ts'
import type { DiskFill, HostCondition, LogCondition, RegistryCondition, SwarmView } from '#gen/hive/v1/doctor.ts'
import { messageOf } from '../../../proto/errors.ts'
import { logConfig, logSpoolFolder, logUnit } from '../../../proto/log-files.ts'
import { fillOf } from '../../adapters/disk-fill.ts'
import { exists } from '../../adapters/files.ts'
import { heldPackages } from '../../adapters/kernel-hold.ts'
import { readPools } from '../../adapters/lvm.ts'
import { readMounts } from '../../adapters/mounts.ts'
import { lookAtFirewall, readSettings as readFirewallSettings } from '../../adapters/network/firewall.ts'
import { packageSystem } from '../../adapters/os.ts'
import { readSettings as readRegistrySettings } from '../../adapters/registry/settings.ts'
import { probeRegistry } from '../../adapters/registry-probe.ts'
import { unitStatus } from '../../adapters/systemd.ts'
import type { LeaseHolder } from '../../runs/lease.ts'
import type { BackupKeeper } from '../../watchers/backup/keeper.ts'
import type { FailoverSupervisor } from '../../watchers/failover-supervisor.ts'
import { concerned } from '../../watchers/reporter/collect/file-systems.ts'
import { isIgnored } from '../../watchers/reporter/collect/units.ts'
import { loadMonitoring, monitoringPath } from '../../watchers/reporter/configuration.ts'
import type { SwarmFollower } from '../../watchers/swarm-follower.ts'
import { listImages } from '../docker/image-service.ts'
import { listNetworks } from '../docker/network-service.ts'
import { listServices, tasksOf } from '../docker/service-service.ts'
import { swarmInfo, swarmNodes } from '../docker/swarm-service.ts'
import { listVolumes } from '../docker/volume-service.ts'
import { listUnits } from '../host/units.ts'
import { expiryOf } from '../pki.ts'
import { readRevoked } from '../revocations.ts'

export interface ConditionSources {
  readonly pkiDir: string
  readonly supervisor: Pick<FailoverSupervisor, 'status'>
  readonly follower: Pick<SwarmFollower, 'status'>
  readonly lease: Pick<LeaseHolder, 'get'>
  readonly keeper: Pick<BackupKeeper, 'list' | 'schedule'>
  readonly now: () => Date
}

/** Milliseconds for each part: what hangs is named instead of waited for. */
const patience = 15_000

/** Never rejects but for `signal`. */
export async function hostCondition(sources: ConditionSources, signal: AbortSignal): Promise<HostCondition> {
  const unlooked: { what: string; why: string }[] = []
  const part = async <T>(what: string, look: (within: AbortSignal) => Promise<T>): Promise<T | undefined> => {
    const ended = AbortSignal.any([signal, AbortSignal.timeout(patience)])
    try {
      return await Promise.race([look(ended), rejected(ended)])
    } catch (error) {
      signal.throwIfAborted()
      unlooked.push({ what, why: ended.aborted ? `no answer within ${patience / 1000} s` : messageOf(error) })
      return undefined
    }
  }
  const docker = await part('docker', swarmInfo)
  const [disks, pools, failedUnits, swarm, images, volumes, firewall, supervisor, refused, certificate, lock, backups, registry, logs, held] =
    await Promise.all([
      part('disks', diskFills),
      part('thin pools', poolFills),
      part('units', failedOnes),
      docker?.manager === true ? part('swarm', swarmView) : undefined,
      docker === undefined ? undefined : part('images', listImages),
      docker === undefined ? undefined : part('volumes', listVolumes),
      part('firewall', firewallDifferences),
      part('supervisor', () => sources.supervisor.status()),
      part('revoked certificates', () => readRevoked(sources.pkiDir)),
      part('certificate', async () => expiryOf(await readFile(join(sources.pkiDir, 'cert.pem'), 'utf8'))),
      part('lock', () => sources.lease.get()),
      part('backups', () => keptBackups(sources.keeper)),
      part('registry', (within) => registryCondition(sources.pkiDir, within)),
      part('logs', logCondition),
      part('packages', packagesOnHold),
    ])
  return {
    disks: [...(disks ?? []), ...(pools ?? [])],
    failedUnits: failedUnits ?? [],
    docker,
    swarm,
    images: images?.images ?? [],
    volumes: volumes?.volumes ?? [],
    firewall: [...(firewall ?? [])],
    follower: sources.follower.status(),
    supervisor: supervisor === undefined ? undefined : { ...supervisor, evidence: [] },
    refused: (refused ?? []).map(({ serial }) => serial),
    certificateExpires: certificate,
    lock,
    backups,
    registry,
    logs,
    heldPackages: [...(held ?? [])],
    unlooked,
    now: sources.now(),
  }
}

const rejected = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

/** One after the other: a disk that is slow takes one thread of the agent, not all. */
async function diskFills(signal: AbortSignal): Promise<DiskFill[]> {
  const found: DiskFill[] = []
  for (const { mountPoint, fsType } of concerned(await readMounts())) {
    const { usedPercent, freeInodesPercent, freeBytes } = await fillOf(mountPoint, fsType, signal)
    found.push({
      name: mountPoint,
      pool: false,
      usedPercent,
      inodesUsedPercent: 100 - freeInodesPercent,
      freeBytes: BigInt(Math.max(0, Math.floor(freeBytes))),
    })
  }
  return found
}

const poolFills = async (signal: AbortSignal): Promise<DiskFill[]> =>
  (await readPools(signal)).map(({ volumeGroup, name, dataPercent, metadataPercent }) => ({
    name: `${volumeGroup}/${name}`,
    pool: true,
    usedPercent: dataPercent ?? 0,
    inodesUsedPercent: metadataPercent ?? 0,
    freeBytes: 0n,
  }))

/** Without those whose failure the site calls nothing. */
async function failedOnes() {
  const ignored = (await loadMonitoring(monitoringPath).catch(() => undefined))?.ignoredUnits ?? []
  return (await listUnits(true)).filter(({ name }) => !isIgnored(name, ignored))
}

async function swarmView(signal: AbortSignal): Promise<SwarmView> {
  const [{ nodes }, { services }, { tasks }, { networks }] = await Promise.all([
    swarmNodes(signal),
    listServices(signal),
    tasksOf({ service: '', runningOnly: false }, signal),
    listNetworks(signal),
  ])
  return { nodes, services, tasks, networks: networks.filter(({ scope }) => scope === 'swarm') }
}

async function firewallDifferences(signal: AbortSignal): Promise<readonly string[]> {
  const spec = await readFirewallSettings()
  return spec === undefined ? [] : (await lookAtFirewall(spec, signal)).flatMap(({ differences }) => differences)
}

/** undefined where this host keeps none. */
async function keptBackups(keeper: ConditionSources['keeper']): Promise<ListBackupsResponse | undefined> {
  if ((await keeper.schedule()) === undefined) return undefined
  const list = await keeper.list()
  return { ...list, backups: list.backups.map((backup) => ({ ...backup, files: [] })) }
}

async function registryCondition(pkiDir: string, signal: AbortSignal): Promise<RegistryCondition | undefined> {
  const settings = await readRegistrySettings()
  if (settings === undefined) return undefined
  const port = Number(settings.server.slice(settings.server.lastIndexOf(':') + 1))
  const ca = await readFile(join(pkiDir, 'ca.pem'), 'utf8')
  return { problem: await probeRegistry({ port, user: settings.user, password: settings.password, ca }, signal) }
}

async function logCondition(): Promise<LogCondition | undefined> {
  if (!(await exists(logConfig))) return undefined
  return { unit: logUnit, active: (await unitStatus(logUnit)).active, waitingBytes: await waiting() }
}

/** Of the queue's files; the one that is written to may be empty of what still waits. */
async function waiting(): Promise<bigint> {
  const names = await readdir(logSpoolFolder).catch(() => [])
  const files = names.filter((name) => /^repository\.\d+$/.test(name)).map((name) => join(logSpoolFolder, name))
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return BigInt(sizes.reduce((sum, size) => sum + size, 0))
}

async function packagesOnHold(signal: AbortSignal): Promise<readonly string[]> {
  const system = await packageSystem()
  return system === undefined ? [] : heldPackages(system, signal)
}
