/** rsyslog on the repository server: which line goes to which file. Pure. */
import { errorLog, logRuleFolder, otherLog } from '../../../proto/log-files.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { escapePattern, quoted } from './rainer-script.ts'
import { templates } from './templates.ts'
import { certificates, globals, relayPeers } from './transport.ts'

/** Files that stay open: with fewer than there are services each line would open one. */
const openFiles = 200

/** Where tests put what belongs elsewhere on a host. */
export interface CollectorPlace {
  /** undefined: everywhere. */
  readonly listen?: string
}

/** The configuration of the server that keeps the logs. It takes lines by UDP also where hosts use TLS, when a standalone service has no other way. */
export function collectorConfig(site: Site, repository: Host, { listen }: CollectorPlace = {}): string {
  const { port, relayPort, tls, group } = site.logs
  const at = listen === undefined ? '' : ` address="${listen}"`
  const file = `fileCreateMode="0640" fileGroup="${group}" dirCreateMode="0755"`
  const byUdp = !tls || site.services.some(({ standalone, stages }) => standalone && stages.includes(site.stage))
  const peers = relayPeers(site)
  return [
    ...globals(repository.name, tls),
    'module(load="imudp")',
    'module(load="imrelp" ruleset="hiveRelayed")',
    ...(tls
      ? [`module(load="imtcp" maxSessions="2000" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name" permittedPeer=${peers})`]
      : []),
    ...templates,
    '',
    'ruleset(name="hiveError") {',
    `  action(type="omfile" file="${errorLog}" template="hiveErrorLine" ${file})`,
    '}',
    '',
    '# $.service: whose line it is; $.file: the name of its file; $.log: where that is.',
    'ruleset(name="hiveFiles") {',
    `  if not re_match($hostname, ${quoted(hostPattern(site))}) then {`,
    '    set $.service = exec_template("hiveHost");',
    '    set $.file = $.service;',
    `    action(type="omfile" dynaFile="hiveFile" dynaFileCacheSize="${openFiles}" template="hiveStandaloneLine" ${file})`,
    "  } else if $syslogfacility-text == 'local0' then {",
    '    set $.service = exec_template("hiveApplication");',
    '    set $.file = $.service;',
    `    action(type="omfile" dynaFile="hiveFile" dynaFileCacheSize="${openFiles}" template="hiveLine" ${file})`,
    "  } else if $syslogfacility-text == 'local1' then {",
    '    set $.service = exec_template("hiveApplication");',
    '    set $.file = exec_template("hiveInner");',
    `    action(type="omfile" dynaFile="hiveFile" dynaFileCacheSize="${openFiles}" template="hiveLine" ${file})`,
    '  } else {',
    "    set $.service = '';",
    `    action(type="omfile" file="${otherLog}" template="hiveOtherLine" ${file})`,
    '  }',
    '  set $.log = exec_template("hiveFile");',
    `  include(file="${logRuleFolder}/*.conf" mode="optional")`,
    '}',
    '',
    'ruleset(name="hiveRelayed") {',
    '  set $.at = exec_template("hiveReported");',
    '  call hiveFiles',
    '}',
    'ruleset(name="hiveReceived") {',
    '  set $.at = exec_template("hiveReceived");',
    '  call hiveFiles',
    '}',
    '',
    `input(type="imrelp" port="${relayPort}"${at} maxDataSize="128k" keepAlive="on"${tls ? ` ${certificates(`tls.permittedPeer=${peers}`)}` : ''})`,
    // TLS is what docker itself was told by hive-builder; those containers must still find it.
    ...(tls ? [`input(type="imtcp" port="${port}"${at} ruleset="hiveReceived")`] : []),
    // On loopback for containers of this very server.
    `input(type="imudp" port="${port}"${byUdp ? at : ' address="127.0.0.1"'} ruleset="hiveReceived" rcvbufSize="8m")`,
    '',
  ].join('\n')
}

/**
 * Host names of the stage's servers, and of more that it may have had or get: what other hosts send comes from a standalone service, by
 * whose name it is filed.
 */
export function hostPattern(site: Site): string {
  const stems = [...new Set(site.hosts.map(({ shortName }) => shortName.replace(/[0-9]+$/, '')))].sort()
  return `^(localhost|(${stems.map(escapePattern).join('|')})[0-9]+\\.(${escapePattern(site.name)}))$`
}
