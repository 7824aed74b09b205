/** What a run may have left in its site: in the swarm, on its hosts, and in its lock. */
import { eventually, patience } from '../lab/harness/eventually.ts'
import type { ChaosLab } from './lab.ts'

interface HostRow {
  readonly name: string
  readonly work: string
  readonly node?: { readonly availability: string }
}

/** A sentence for each thing; waits for what ends by itself. */
export async function leftInSite(lab: ChaosLab): Promise<readonly string[]> {
  let left: readonly string[] = []
  await eventually('nothing is left', patience, async () => {
    left = (await Promise.all([swarmLeft(lab), lockLeft(lab), ...[...lab.hives, lab.repository].map((host) => hostLeft(lab, host)), mountsLeft(lab)])).flat()
    return left.length === 0
  }).catch(() => undefined)
  return left
}

async function swarmLeft({ site }: ChaosLab): Promise<readonly string[]> {
  const rows = (await site.succeed(['host', 'list'])).result as readonly HostRow[]
  return rows.flatMap(({ name, work, node }) => [
    ...(work === '' ? [] : [`${name}: ${work}`]),
    ...(node === undefined || node.availability === 'active' ? [] : [`${name} is ${node.availability}`]),
  ])
}

async function lockLeft({ site }: ChaosLab): Promise<readonly string[]> {
  const { lock } = (await site.succeed(['status'])).result as { readonly lock?: { readonly purpose: string } }
  return lock === undefined ? [] : [`the site is locked for ${lock.purpose}`]
}

/** Processes that are stopped, file systems put over folders, rules and queues of a slow network. */
async function hostLeft({ site }: ChaosLab, host: string): Promise<readonly string[]> {
  const look = [
    `ps -eo stat=,pid=,comm= | awk '$1 ~ /^T/ {print "stopped: " $2 " " $3}'`,
    `awk '$3 == "tmpfs" && ($2 == "/var/lib/hive-agent" || $2 == "/var/lib/docker/tmp") {print "mounted: " $2}' /proc/mounts`,
    `iptables -w -t raw -S | grep -- statistic || true`,
    `tc qdisc show dev eth0 | grep -E 'netem|tbf' || true`,
  ].join('; ')
  const said = await site.onHost(host, look)
  return said.split('\n').flatMap((line) => (line === '' ? [] : [`${host}: ${line}`]))
}

/** A volume is mounted on one host, and tasks of services run nowhere but where swarm has them. */
async function mountsLeft({ site, hives, volumes }: ChaosLab): Promise<readonly string[]> {
  const mounts = await Promise.all(hives.map(async (host) => (await site.onHost(host, `awk '$1 ~ "^/dev/drbd" {print $1}' /proc/mounts | sort -u`)).trim()))
  const count = mounts
    .join('\n')
    .split('\n')
    .filter((line) => line !== '').length
  const containers = await Promise.all(hives.map((host) => site.onHost(host, `docker ps -q --filter label=com.docker.swarm.service.name | wc -l`)))
  const running = containers.reduce((sum, text) => sum + Number(text), 0)
  // One writer for each volume, and two name servers.
  const wanted = volumes.length + 2
  return [
    ...(count === volumes.length ? [] : [`${count} mounts of ${volumes.length} volumes`]),
    ...(running === wanted ? [] : [`${running} containers of services that have ${wanted} tasks`]),
  ]
}
