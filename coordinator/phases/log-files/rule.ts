/** From a service's monitor_error and ignore_error to what rsyslog does with a line of it. Pure. */
import { logRuleMark } from '../../../proto/log-files.ts'
import type { Service } from '../../inventory/site.ts'
import { quoted } from './rainer-script.ts'

/** undefined: the service has nothing to be watched for. Whose line it is says the collector: by tag, or by host name where standalone. */
export function logRule({ name, monitorError, ignoreError }: Pick<Service, 'name' | 'monitorError' | 'ignoreError'>): string | undefined {
  if (monitorError.length === 0) return undefined
  const any = (patterns: readonly string[]): string => patterns.map((pattern) => `re_match($msg, ${quoted(pattern)})`).join('\n  or ')
  return [
    `${logRuleMark}${name}: monitor_error and ignore_error of the inventory.`,
    `if $.service == ${quoted(name)} and (${any(monitorError)})`,
    ...(ignoreError.length === 0 ? [] : [`  and not (${any(ignoreError)})`]),
    '  then call hiveError',
    '',
  ].join('\n')
}
