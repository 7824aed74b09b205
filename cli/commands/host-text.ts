/** Hosts and what the guard says of them, as people read it. Pure. */
import pc from 'picocolors'
import { nodeOf, type SitePicture } from '../../coordinator/guard/picture.ts'
import type { Severity, Verdict } from '../../coordinator/guard/verdict.ts'
import { isDrill, isUnderWay, markOf } from '../../coordinator/hosts/marks.ts'
import type { HostStatus } from '../../coordinator/run/status.ts'
import { columns, shortHost } from '../render/format.ts'

const colours: Readonly<Record<Severity, (text: string) => string>> = { stops: pc.red, interrupts: pc.yellow, notes: pc.dim, keeps: pc.green }

/** A line for each reason; what it is concluded from below those that speak against it. */
export function verdictLines({ reasons }: Verdict): readonly string[] {
  return reasons.flatMap(({ severity, text, evidence }) => [
    `${colours[severity](severity.padEnd(10))}  ${text}`,
    ...(severity === 'stops' || severity === 'interrupts' ? evidence.map((line) => pc.dim(`              ${line}`)) : []),
  ])
}

/** Whether it may be taken out now, then why. */
export const verdictText = (host: string, verdict: Verdict, verb: string): string =>
  [verdict.yes ? pc.green(`${host} may be ${verb} now`) : pc.red(`${host} must not be ${verb} now`), ...verdictLines(verdict).map((line) => `  ${line}`)].join(
    '\n',
  )

/** "a restart of boot … was begun"; '' where none was. */
export function markText(hosts: readonly HostStatus[], name: string): string {
  const nodes = hosts.flatMap(({ node }) => node ?? [])
  const host = hosts.find((one) => one.name === name)
  const shortName = shortHost(name)
  const mark = markOf(nodes, { name, shortName, isHive: host?.node !== undefined })
  if (mark === undefined) return ''
  if (isDrill(mark)) return 'a drill was begun and not ended: hivecoord drill failover --undo puts the host back'
  if (mark.boot === 'done') return 'restarted by a command that did not end'
  return isUnderWay(mark) ? 'a restart was begun and not ended' : 'to be restarted by a command that did not end'
}

export const hostRows = (hosts: readonly HostStatus[]): string =>
  columns(
    hosts.map((host) => {
      const { name, address, power, agent, node } = host
      return [
        name,
        address,
        power,
        node === undefined ? '' : `${node.role}${node.leader ? ' (leader)' : ''}`,
        node === undefined
          ? ''
          : `${node.state === 'ready' ? node.state : pc.red(node.state)} ${node.availability === 'active' ? '' : pc.yellow(node.availability)}`.trim(),
        agent === undefined ? pc.red('no answer') : `up ${uptime(Number(agent.uptimeSeconds))}`,
        pc.yellow(markText(hosts, name)),
      ]
    }),
  )

/** "3 d 4 h", "12 m". */
export function uptime(seconds: number): string {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]
  if (days > 0) return `${days} d ${hours} h`
  return hours > 0 ? `${hours} h ${minutes} m` : `${minutes} m`
}

/** What runs and is kept on one host. */
export function partOf(picture: SitePicture, name: string) {
  const host = picture.hosts.find((one) => one.name === name)
  const node = host === undefined || picture.nodes === undefined ? undefined : nodeOf(picture.nodes, host)
  const services = (picture.services ?? []).flatMap((service) => {
    const tasks = service.tasks.filter((task) => task.node === node?.name)
    return tasks.length === 0 ? [] : [{ name: service.name, tasks: tasks.map(({ state, wanted }) => (wanted ? state : `${state}, is stopped`)) }]
  })
  const volumes = picture.volumes.flatMap(({ name: volume, hosts }) => {
    const status = hosts.get(name)?.status
    return status === undefined
      ? []
      : [{ name: volume, role: status.role, disks: status.devices.map(({ client, diskState }) => (client ? 'diskless' : diskState)) }]
  })
  return { node, services, volumes }
}
