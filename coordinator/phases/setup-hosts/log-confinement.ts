/**
 * Where the distribution confines rsyslog by AppArmor (Ubuntu since 23.04, Debian since 13), it may read and write only what its own service needs. What
 * ours needs is added in the place that its profile has for others. Elsewhere nobody reads the file.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import { logConfig, logRuleFolder } from '../../../proto/log-files.ts'
import type { Host } from '../../inventory/site.ts'
import { file } from './file.ts'
import { hostStep } from './host-step.ts'

const path = '/etc/apparmor.d/rsyslog.d/hive-logs'

const rules = `# Logs of the site's services: hive-logs.service, and trials of its configuration by hive-agent.
capability chown,
capability dac_override,
capability net_admin,
${logConfig.replace(/\/[^/]+$/, '')}/{,**} r,
${logRuleFolder}/{,**} r,
/etc/hive-agent/pki/* r,
/var/lib/hive-agent/log-rule-trial.conf r,
/var/lib/rsyslog/hive/{,**} rwk,
/var/log/services/{,**} rw,
/{,run/,var/}log/journal/{,**} r,
`

export const logConfinement = (host: Host): readonly Step[] => [
  hostStep(host, 'log-confinement', 'what AppArmor lets rsyslog do', 'ensureFiles', { files: [{ ...file(path, rules), system: 'apt' }] }),
  hostStep(
    host,
    'log-confinement-loaded',
    'AppArmor has read it',
    'ensureUnit',
    { name: 'apparmor.service', aliases: [], enabled: undefined, state: UnitState.UNSPECIFIED, watchFiles: [path], reload: true, optional: true },
    { after: ['packages', 'log-confinement'] },
  ),
]
