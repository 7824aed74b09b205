/** The steps that make one mirrored volume. */
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../../proto/errors.ts'
import { holdsDisk, isTrue, poolOn } from '../../inventory/mirrored-volumes.ts'
import type { Host, Site, Volume } from '../../inventory/site.ts'
import type { StageState } from '../../run/stage-state.ts'
import { step, stepId } from '../phase.ts'
import { nodeIdsOf } from './node-ids.ts'
import { sharedSecretOf } from './shared-secret.ts'

const phase = 'build-volumes'

/** Room in new metadata, for eight hosts with a disk. */
const maxPeers = 7
const firstPort = 7000

/** Seconds. The agent gives up where nothing moves on; these only end what nobody looks at any more: days of copying are possible. */
const resourceSeconds = 3 * 24 * 3600
const volumeSeconds = 3 * 24 * 3600

/**
 * Each host's own part first, on all of them; then, on one host that holds a disk, what is made once for all. The docker volume waits for
 * neither: where it is missing, docker would make a plain one of that name for the first container that asks. No volume waits for another.
 * Throws HiveError 'invalid-input' where the inventory lacks what a volume needs.
 */
export function mirroredVolumeSteps(volume: Volume, site: Site, state: StageState): readonly Step[] {
  const { name } = volume
  const { deviceId: minor, sizeBytes, fstype = '' } = volume
  const hives = site.hosts.filter((host) => host.isHive)
  const holders = hives.filter((host) => holdsDisk(volume, host))
  const maker = holders.find((host) => host.isFirstHive) ?? holders[0]
  const pool = maker === undefined ? undefined : poolOn(volume, maker)
  if (minor === undefined || sizeBytes === undefined || maker === undefined || pool === undefined)
    throw new HiveError('invalid-input', `volume ${name}: no host of the stage can hold a disk of it`)
  const idOf = nodeIdsOf(site.hosts, state)
  const nodes = hives
    .map((host) => ({ name: host.name, address: host.address, nodeId: idOf(host), diskless: !holders.includes(host) }))
    .sort((a, b) => a.nodeId - b.nodeId)
  const common = { name, minor, volumeGroup: pool.volumeGroup, sizeBytes }
  const resource = {
    ...common,
    port: firstPort + minor,
    thinPool: pool.thinPool ?? '',
    nodes,
    maxPeers,
    sharedSecret: sharedSecretOf(name, state),
  }
  const resourceId = (host: Host): string => stepId(phase, `drbd-resource ${name}`, host.name)
  return [
    ...hives.map((host) =>
      step(
        phase,
        `drbd-resource ${name}`,
        host.name,
        `mirrored volume ${name}: ${holders.includes(host) ? 'disk and resource' : 'resource without a disk'}`,
        'ensureDrbdResource',
        resource,
        { timeoutSeconds: resourceSeconds },
      ),
    ),
    step(
      phase,
      `drbd-volume ${name}`,
      maker.name,
      `mirrored volume ${name}: data and file system`,
      'ensureDrbdVolume',
      {
        name,
        minor,
        sizeBytes,
        fstype,
        diskful: holders.map((host) => host.name),
        noFormat: isTrue(site.variable(maker.name, 'hive_no_format')),
        thin: resource.thinPool !== '',
        volumeGroup: pool.volumeGroup,
      },
      { needs: hives.map(resourceId), timeoutSeconds: volumeSeconds },
    ),
    // The file system grows where it is mounted, which the host that does the rest need not be.
    ...holders
      .filter((host) => host !== maker)
      .map((host) =>
        step(
          phase,
          `drbd-file-system ${name}`,
          host.name,
          `mirrored volume ${name}: its file system fills it`,
          'ensureDrbdFileSystem',
          { name, minor, fstype, sizeBytes, volumeGroup: pool.volumeGroup },
          { needs: [stepId(phase, `drbd-volume ${name}`, maker.name)] },
        ),
      ),
    ...hives.map((host) =>
      step(phase, name, host.name, `volume ${name}`, 'ensureVolume', {
        name,
        driver: 'local',
        options: { type: fstype, device: `/dev/drbd${minor}` },
        directory: '',
        nfsFolder: undefined,
      }),
    ),
  ]
}
