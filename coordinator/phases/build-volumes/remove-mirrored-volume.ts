/** The removal of one mirrored volume as a phase of its own: every host's part, all hosts at the same time. */
import { Disruption } from '#gen/hive/v1/step.ts'
import type { Site } from '../../inventory/site.ts'
import { type Phase, step } from '../phase.ts'

const seconds = 600

export const removalOf = (name: string, minor: number): Phase => ({
  name: 'build-volumes',
  steps: ({ site }) => ({
    steps: hivesOf(site).map((host) =>
      step(
        'build-volumes',
        `remove ${name}`,
        host.name,
        `remove mirrored volume ${name}`,
        'removeMirroredVolume',
        { name, minor, volumeGroups: host.settings.mirroredPools.map(({ volumeGroup }) => volumeGroup) },
        { disruption: Disruption.DESTROY, timeoutSeconds: seconds },
      ),
    ),
    blobs: new Map(),
    notices: [],
  }),
})

const hivesOf = (site: Site) => site.hosts.filter((host) => host.isHive)
