/** What a hive host needs before it can have mirrored volumes: DRBD, its settings, and volume groups on its disks. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host, MirroredPool, Site } from '../../inventory/site.ts'
import { drbdPackages } from './drbd-packages.ts'
import { file } from './file.ts'
import { hostStep } from './host-step.ts'

/** /etc/drbd.d/global_common.conf. */
export const globalCommonConf = `# Made by hive; changes are overwritten.
global {
  # Nothing is told to LINBIT's counter of installations.
  usage-count no;
  # How many devices the module prepares for: device ids go up to 255, sites have tens of volumes.
  minor-count 128;
}
common {
}
`

/** `allow`: what the operator named; HOST:/dev/DISK is a disk that may be used although it holds something. */
export const mirroring = (site: Site, host: Host, allow: ReadonlySet<string> = new Set()): readonly Step[] => [
  ...drbdPackages(host),
  drbdSettings(host),
  socketBuffers(host),
  ...(host.settings.noMirroredDevice ? [] : host.settings.mirroredPools.map((pool) => volumeGroup(site, host, pool, allow))),
]

/** After DRBD's tools, whose package brings a file of that name. */
const drbdSettings = (host: Host): Step =>
  hostStep(
    host,
    'drbd-settings',
    "DRBD's settings for all volumes",
    'ensureFiles',
    { files: [file('/etc/drbd.d/global_common.conf', globalCommonConf)] },
    { after: ['drbd-module'] },
  )

/** Least, at first and most, bytes. A connection that mirrors a fast disk has more under way than the kernel's defaults let it. */
const buffers = '131072 1048576 16777216'

const socketBuffers = (host: Host): Step =>
  hostStep(host, 'drbd-buffers', 'send and receive buffers for mirrored volumes', 'ensureSysctl', {
    file: '91-hive-drbd.conf',
    values: { 'net.ipv4.tcp_rmem': buffers, 'net.ipv4.tcp_wmem': buffers },
  })

const volumeGroup = (site: Site, host: Host, pool: MirroredPool, allow: ReadonlySet<string>): Step =>
  hostStep(
    host,
    `volume-group ${pool.volumeGroup}`,
    `volume group ${pool.volumeGroup} for mirrored volumes`,
    'ensureVolumeGroup',
    {
      name: pool.volumeGroup,
      devices: candidates(site, pool),
      thinPool: pool.thinPool ?? '',
      partitionLabel: host.settings.partitionLabel ?? '',
      take: [...allow].flatMap((name) => diskOf(name, host)),
    },
    { after: ['packages'], timeoutSeconds: 1200 },
  )

/**
 * What is attached to an EC2 instance as /dev/sdb shows up as xvdb, or, on NVMe, under the number that came first: where the root disk is
 * nvme1n1 the other one is nvme0n1. Only an empty disk is taken, so that the root disk never is.
 */
const candidates = (site: Site, { devices }: MirroredPool): string[] => [
  ...devices,
  ...(site.effectiveProvider === 'aws' && devices.includes('/dev/nvme1n1') && !devices.includes('/dev/nvme0n1') ? ['/dev/nvme0n1'] : []),
]

function diskOf(name: string, host: Host): string[] {
  const split = name.indexOf(':/dev/')
  return split > 0 && [host.name, host.shortName].includes(name.slice(0, split)) ? [name.slice(split + 1)] : []
}
