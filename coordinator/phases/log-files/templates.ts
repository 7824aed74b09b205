/** How lines are written and passed on. What each line begins with and in which file it is are what sites of hive-builder read. */
import { logFolder } from '../../../proto/log-files.ts'

const moment = (property: string): string =>
  `%${property}:::date-year%/%${property}:::date-month%/%${property}:::date-day% %${property}:::date-hour%:%${property}:::date-minute%:%${property}:::date-second%`

const template = (name: string, text: string): string => `template(name="${name}" type="string" string="${text}")`

const tagged = '%syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%'
const severity = '%syslogfacility-text%.%syslogseverity-text%:'

/** Names come from whoever sends: a slash in one leads nowhere. */
export const templates: readonly string[] = [
  // When it got here, and when the host that passed it on had it: what waited there keeps its time.
  template('hiveReceived', moment('timegenerated')),
  template('hiveReported', moment('timereported')),
  template('hiveApplication', '%app-name:::secpath-replace%'),
  template('hiveHost', '%hostname:::secpath-replace%'),
  template('hiveInner', '%hostname:::secpath-replace%.%app-name:::secpath-replace%'),
  template('hiveFile', `${logFolder}/%$.file%.log`),
  template('hiveLine', '%$.at% %syslogtag% %msg%\\n'),
  template('hiveStandaloneLine', `%$.at% ${severity} ${tagged}\\n`),
  template('hiveOtherLine', `%$.at% %hostname% ${severity} ${tagged}\\n`),
  template('hiveErrorLine', `%$.at% %$.log% ${tagged}\\n`),
  // The names that rules in /etc/rsyslog-services.d use which hive-builder or the site itself put there.
  template('logFormatErrorApp', `%$.at% ${logFolder}/%app-name:::secpath-replace%.log ${tagged}\\n`),
  template('logFormatErrorStandalone', `%$.at% ${logFolder}/%hostname:::secpath-replace%.log ${tagged}\\n`),
  template('logFormatErrorInner', `%$.at% ${logFolder}/%hostname:::secpath-replace%.%app-name:::secpath-replace%.log ${tagged}\\n`),
]
