/** What is wrong with a host by itself. Pure. */
import type { DiskFill } from '#gen/hive/v1/doctor.ts'
import { plainSerial } from '../../proto/pem.ts'
import { type Finding, finding, repairOf } from './finding.ts'
import type { HostSight, WholePicture } from './whole-picture.ts'

/** Percent. */
const full = 95
const filling = 85
const day = 86_400_000
/** A certificate is renewed by deploys from a third of its life on; here somebody should look. */
const certificateSoon = 30 * day

export const hostFindings = (picture: WholePicture, version: string): readonly Finding[] => [
  ...picture.hosts.flatMap((host) => (host.condition === undefined ? silent(host, version) : ofHost(host, picture, version))),
]

function silent(host: HostSight, version: string): readonly Finding[] {
  const { name, shortName, power, error = 'no answer', ssh, agentVersion } = host
  const about = { volume: undefined, hosts: [name] }
  if (agentVersion === version)
    return [
      finding({
        ...about,
        state: 'unlooked',
        title: `${name}: its agent answers, and does not tell how the host is`,
        evidence: [error],
        advice: `why: hivecoord node journal ${shortName} -u hive-agent`,
      }),
    ]
  if (agentVersion !== undefined)
    return [
      finding({
        ...about,
        state: 'agent-version',
        title: `${name}: its agent (${agentVersion}) does not tell of the host what this hivecoord (${version}) asks`,
        evidence: [],
        command: `hivecoord agent upgrade ${shortName}`,
      }),
    ]
  if (power === 'absent')
    return [finding({ ...about, state: 'host-off', title: `${name} does not exist`, evidence: [error], command: 'hivecoord build-infra' })]
  if (power === 'halted')
    return [
      finding({
        ...about,
        state: 'host-off',
        title: `${name} is powered off`,
        evidence: [error],
        advice: 'switch it on; `hivecoord start` does so for all hosts of an nspawn or aws stage',
        command: 'hivecoord start',
      }),
    ]
  if (ssh === true)
    return [
      finding({
        ...about,
        state: 'agent-silent',
        title: `${name} lets ssh in, and its agent does not answer`,
        evidence: [error],
        advice: `look why: hivecoord ssh ${shortName} sudo journalctl -u hive-agent -n 50`,
        command: `hivecoord ssh ${shortName} sudo systemctl restart hive-agent`,
      }),
    ]
  return [
    finding({
      ...about,
      state: 'host-unreachable',
      title: `${name} answers neither its agent's port${ssh === false ? ' nor ssh' : ''}`,
      evidence: [error, `power: ${power}`],
      advice: 'look at its console, power and network cable; what is said here leaves out what it holds',
    }),
  ]
}

function ofHost(host: HostSight, { certificates, now }: WholePicture, version: string): readonly Finding[] {
  const { name, shortName, agentVersion = '', condition } = host
  if (condition === undefined) return []
  const about = { volume: undefined, hosts: [name] }
  const found: Finding[] = condition.disks.flatMap((disk) => ofDisk(disk, name, shortName))
  if (agentVersion !== version)
    found.push(
      finding({
        ...about,
        state: 'agent-version',
        title: `${name}: its agent is ${agentVersion}, this hivecoord ${version}`,
        evidence: [],
        command: `hivecoord agent upgrade ${shortName}`,
      }),
    )
  if (condition.failedUnits.length > 0)
    found.push(
      finding({
        ...about,
        state: 'failed-units',
        title: `${name}: ${condition.failedUnits.map((unit) => unit.name).join(', ')} failed`,
        evidence: condition.failedUnits.map((unit) => `${unit.name}: ${unit.description}`),
        advice: `why: hivecoord node journal ${shortName} -u ${condition.failedUnits[0]?.name ?? 'UNIT'}`,
        command: `hivecoord node unit ${shortName} restart ${condition.failedUnits[0]?.name ?? 'UNIT'}`,
      }),
    )
  if (condition.docker === undefined && host.isHive)
    found.push(
      finding({
        ...about,
        state: 'docker-down',
        title: `${name}: docker does not answer`,
        evidence: condition.unlooked.flatMap(({ what, why }) => (what === 'docker' ? [why] : [])),
        command: `hivecoord node unit ${shortName} start docker.service`,
        repair: repairOf(`start docker on ${shortName}`, { kind: 'start-unit', host: name, unit: 'docker.service' }),
      }),
    )
  if (condition.firewall.length > 0)
    found.push(
      finding({
        ...about,
        state: 'firewall-off',
        title: `${name}: its firewall is not as setup-hosts left it`,
        evidence: condition.firewall,
        advice: 'its agent puts the rules back every half minute: where they keep going, something else on the host takes them away',
        command: `hivecoord setup-hosts --limit ${shortName}`,
      }),
    )
  for (const { service, label, message } of condition.follower?.problems ?? [])
    found.push(
      finding({
        ...about,
        state: 'follower',
        title: service === '' ? `${name}: ${message}` : `${name}: ${service} does not get what its label ${label} asks for: ${message}`,
        evidence: [],
      }),
    )
  if (condition.supervisor?.hold !== undefined) {
    const { by, reason, since } = condition.supervisor.hold
    found.push(
      finding({
        ...about,
        state: 'supervisor-held',
        title: `${name}: nothing heals mirrored volumes by itself: ${by} holds the supervisor: ${reason}`,
        evidence: since === undefined ? [] : [`since ${since.toISOString()}`],
        command: `hivecoord hold release ${shortName}`,
      }),
    )
  }
  for (const { volume, signature, why } of condition.supervisor?.givenUp ?? [])
    found.push(
      finding({
        ...about,
        volume,
        state: 'supervisor-gave-up',
        title: `${name}: the supervisor gave up on ${volume} (${signature})`,
        evidence: [why],
        advice: `look first: hivecoord doctor ${volume}`,
        command: `hivecoord hold release ${shortName}`,
      }),
    )
  const heard = new Set(condition.refused.map(plainSerial))
  const unheard = certificates.revoked.filter(({ serial }) => !heard.has(plainSerial(serial)))
  if (unheard.length > 0)
    found.push(
      finding({
        ...about,
        state: 'revocation-unheard',
        title: `${name} still lets in whom the stage revoked`,
        evidence: unheard.map((entry) => `${entry.name} (${entry.role})`),
        command: 'hivecoord cert revoke',
      }),
    )
  const ends = condition.certificateExpires
  if (ends !== undefined && ends.getTime() - now.getTime() < certificateSoon)
    found.push(endOf(`the certificate of ${name}`, [name], ends, now, `hivecoord cert rotate ${shortName}`))
  if (condition.logs !== undefined && condition.logs.active !== 'active')
    found.push(
      finding({
        ...about,
        state: 'logs-not-collected',
        title: `${name}: logs of services are not ${host.isHive ? 'passed on' : 'collected'}: ${condition.logs.unit} is ${condition.logs.active}`,
        evidence: [],
        command: `hivecoord node unit ${shortName} start ${condition.logs.unit}`,
        repair: repairOf(`start ${condition.logs.unit} on ${shortName}`, { kind: 'start-unit', host: name, unit: condition.logs.unit }),
      }),
    )
  else if (condition.logs !== undefined && Number(condition.logs.waitingBytes) > behind)
    found.push(
      finding({
        ...about,
        state: 'logs-not-collected',
        title: `${name}: ${Math.round(Number(condition.logs.waitingBytes) / 1048576)} MiB of logs wait for the repository server`,
        evidence: [],
        advice: 'is the repository server up, and its relay port open to this host? What waits is kept, and sent when it answers',
      }),
    )
  const other = condition.unlooked.filter(({ what }) => what !== 'docker')
  if (other.length > 0)
    found.push(
      finding({
        ...about,
        state: 'unlooked',
        title: `${name}: not all could be looked at`,
        evidence: other.map(({ what, why }) => `${what}: ${why}`),
      }),
    )
  return found
}

/** Bytes: one file of the queue stays until it is full. */
const behind = 64 * 1024 * 1024

export const endOf = (what: string, hosts: readonly string[], ends: Date, now: Date, command: string): Finding => {
  const left = Math.floor((ends.getTime() - now.getTime()) / day)
  return finding({
    state: ends <= now ? 'certificate-ended' : 'certificate-ending',
    volume: undefined,
    hosts,
    title: ends <= now ? `${what} has ended` : `${what} ends in ${left} day${left === 1 ? '' : 's'}`,
    evidence: [ends.toISOString()],
    command,
  })
}

function ofDisk({ name, pool, usedPercent, inodesUsedPercent, freeBytes }: DiskFill, host: string, shortName: string): readonly Finding[] {
  const most = Math.max(usedPercent, inodesUsedPercent)
  if (most < filling) return []
  const what = pool ? `the thin pool ${name}` : name
  const of = inodesUsedPercent > usedPercent ? (pool ? ' of its metadata' : ' of its inodes') : ''
  return [
    finding({
      state: most >= full ? 'disk-full' : 'disk-filling',
      volume: undefined,
      hosts: [host],
      title: `${host}: ${what} is ${Math.floor(most)} % full${of}`,
      evidence: pool ? [] : [`${Math.round(Number(freeBytes) / 1048576)} MiB free`],
      advice: pool
        ? `a full pool makes writes fail: give it a bigger disk, or take what is not needed out of it (snapshots: hivecoord ssh ${shortName} sudo lvs)`
        : `what takes it: hivecoord ssh ${shortName} sudo du -xh --max-depth=2 ${name}`,
      command: pool || !/^\/(?:var(?:\/lib(?:\/docker(?:-registry)?)?)?)?$/.test(name) ? '' : 'hivecoord images prune',
    }),
  ]
}
