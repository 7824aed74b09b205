/** What a volume of each kind is made of. A kind that cannot be built yet says so, and why. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { EnsureVolume } from '#gen/hive/v1/steps_docker.ts'
import { mirrorsWithDrbd } from '../inventory/mirrored-volumes.ts'
import type { Site, Volume } from '../inventory/site.ts'
import { efsAddress } from '../providers/aws/efs-address.ts'
import type { StageState } from '../run/stage-state.ts'
import { mirroredVolumeSteps } from './build-volumes/mirrored-volume.ts'
import { folderMountOptions, volumeMountOptions } from './efs-mount-options.ts'

/** The folder that the nspawn provider shares between the hosts of a stage. */
export const mirroredFolder = '/var/lib/hive/mirrored'

export type VolumePlan =
  /** Docker makes it on use. */
  | { readonly kind: 'nothing' }
  /** One docker volume of these properties on every hive host. */
  | {
      readonly kind: 'volume'
      readonly spec: EnsureVolume
      readonly notice?: string
      /** What must be made known first; until then `spec` is for plans only. */
      readonly awaits?: string
    }
  /** Steps of its own kinds on several hosts. */
  | { readonly kind: 'mirrored'; readonly steps: readonly Step[] }
  | { readonly kind: 'unsupported'; readonly reason: string }

type Backend = (volume: Volume, site: Site, state: StageState) => VolumePlan

const backends: { readonly [K in Volume['kind']]: Backend } = {
  plain: () => ({ kind: 'nothing' }),

  driver: (volume) => ({
    kind: 'volume',
    spec: { name: volume.name, driver: volume.driver ?? '', options: { ...volume.driverOptions }, directory: '', nfsFolder: undefined },
  }),

  drbd(volume, site, state) {
    if (mirrorsWithDrbd(site)) return { kind: 'mirrored', steps: mirroredVolumeSteps(volume, site, state) }
    const directory = `${mirroredFolder}/${volume.name}`
    return {
      kind: 'volume',
      spec: { name: volume.name, driver: 'local', options: { type: 'none', o: 'bind', device: directory }, directory, nfsFolder: undefined },
      notice: `${volume.name} is a folder shared by this machine's hosts, not DRBD`,
    }
  },

  nfs(volume, site, state) {
    if (site.effectiveProvider !== 'aws')
      return { kind: 'unsupported', reason: `volume ${volume.name}: on NFS, which this version builds with provider aws only` }
    const server = efsAddress(state)?.dnsName
    return {
      kind: 'volume',
      spec: {
        name: volume.name,
        driver: 'local',
        options: { type: 'nfs', o: volumeMountOptions(server ?? `<efs-${site.name}>`), device: `:/${volume.name}` },
        directory: '',
        nfsFolder: { server: server ?? '', folder: volume.name, options: folderMountOptions },
      },
      ...(server === undefined ? { awaits: `volume ${volume.name}: the address of efs-${site.name} is known once build-infra is done` } : {}),
    }
  },
}

export const planVolume: Backend = (volume, site, state) => backends[volume.kind](volume, site, state)
