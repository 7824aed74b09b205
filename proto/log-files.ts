/** Where logs of services are on the repository server, and how the program that collects them is set up: both sides name them. */

export const logFolder = '/var/log/services'
/** Lines that match a service's monitor_error. */
export const errorLog = '/var/log/service-error.log'
/** What hosts sent with another facility than services have. */
export const otherLog = '/var/log/service-other-facility.log'

/** rsyslog's configuration of the unit below; the distribution's own rsyslog is another process with its own. */
export const logConfig = '/etc/hive-logs/rsyslog.conf'
export const logUnit = 'hive-logs.service'
/** Where its queue is: what the repository server has not got yet. */
export const logSpoolFolder = '/var/lib/rsyslog/hive'
/** One file a service that has monitor_error: SERVICE.conf */
export const logRuleFolder = '/etc/rsyslog-services.d'
export const logRulePath = (service: string): string => `${logRuleFolder}/${service}.conf`
/** What each rule of ours begins with: others in the folder are somebody's own. */
export const logRuleMark = '# Errors of the service '
/** Names and digests of the rules that are in place. It changes whenever one of them does, so the unit is restarted by it. */
export const logRuleList = '/etc/hive-logs/rules'

/** Names of services are those of docker; nothing else may become part of a path, and nothing longer than a file's name may be. */
export const isServiceName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(name)

export const logPath = (service: string): string => `${logFolder}/${service}.log`
