/**
 * rsyslog on a hive host: takes what docker logs, on loopback, where a container's start waits for nobody, and passes it on. What the repository
 * server has not acknowledged stays in a queue on disk, in its order, over restarts of either side. A host that loses its power while it waits may lose
 * the last ten lines: writing down each one's place would cost four times the work. Pure.
 */
import type { Host, Site } from '../../inventory/site.ts'
import { certificates, globals } from './transport.ts'

export function relayConfig(site: Site, host: Host, repository: Host): string {
  const { port, relayPort, tls, spoolMb } = site.logs
  return [
    ...globals(host.name, tls),
    'module(load="imudp")',
    'module(load="omrelp")',
    // The host's own log. What is in the journal from before is not sent.
    ...(tls ? ['module(load="imjournal" stateFile="imjournal.state" ignorePreviousMessages="on" ratelimit.interval="0" persistStateInterval="100")'] : []),
    `template(name="hivePassedOn" type="string" string="<%pri%>%timegenerated:::date-rfc3339% ${host.name} %syslogtag%%msg:::sp-if-no-1st-sp%%msg%")`,
    '',
    'ruleset(name="hivePassOn") {',
    `  action(type="omrelp" target="${repository.address}" port="${relayPort}" template="hivePassedOn" name="repository"`,
    // What may be under way unacknowledged: lost only where this host restarts while the other one is away. Fewer make it slow.
    '    windowSize="500" timeout="20" conn.timeout="10"',
    '    action.resumeRetryCount="-1" action.resumeInterval="2" action.resumeIntervalMax="20"',
    '    queue.type="Disk" queue.filename="repository" queue.size="100000000" queue.maxFileSize="16m" queue.checkpointInterval="10"',
    // Full: the newest are given up rather than that a container waits.
    `    queue.maxDiskSpace="${spoolMb}m" queue.timeoutEnqueue="0" queue.saveOnShutdown="on"${tls ? '' : ')'}`,
    ...(tls ? [`    ${certificates(`tls.permittedPeer=["${repository.name}"]`)})`] : []),
    '}',
    `input(type="imudp" address="127.0.0.1" port="${port}" ruleset="hivePassOn" rcvbufSize="8m")`,
    ...(tls ? ['call hivePassOn'] : []),
    '',
  ].join('\n')
}
