/** chrony takes the time from the site's own servers, instead of those the distribution names. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import type { Host } from '../../inventory/site.ts'
import { lines } from './base-system.ts'
import { hostStep } from './host-step.ts'

const configurations = [
  { system: 'apt', path: '/etc/chrony/chrony.conf' },
  { system: 'dnf', path: '/etc/chrony.conf' },
] as const

export const timeServers = (host: Host): readonly Step[] => [
  ...configurations.map(({ system, path }) =>
    hostStep(
      host,
      `time-servers-${system}`,
      `time servers ${host.settings.ntpServers.join(', ')}`,
      'ensureBlock',
      {
        path,
        marker: 'time servers',
        content: lines(host.settings.ntpServers.map((server) => `server ${server} iburst`)),
        atTop: false,
        commentOut: ['^\\s*(pool|server)\\s'],
        validate: [],
        system,
      },
      { after: ['packages'] },
    ),
  ),
  hostStep(
    host,
    'time-sync',
    'time synchronisation runs',
    'ensureUnit',
    {
      name: 'chronyd.service',
      aliases: ['chrony.service'],
      enabled: true,
      state: UnitState.STARTED,
      watchFiles: configurations.map(({ path }) => path),
      reload: false,
      optional: false,
    },
    { after: ['packages', ...configurations.map(({ system }) => `time-servers-${system}`)], disruption: Disruption.RESTART },
  ),
]
