/** What is wrong with the swarm, its nodes and the services on it. Pure. */

import type { TaskInfo } from '#gen/hive/v1/docker.ts'
import type { SwarmView } from '#gen/hive/v1/doctor.ts'
import { hasEnded } from '../../proto/task-states.ts'
import { admits } from '../guard/node-admits.ts'
import { isNodeOf } from '../guard/picture.ts'
import { isDrill, type Mark, markOf } from '../hosts/marks.ts'
import { isCalled } from '../images/image-table.ts'
import { type Finding, finding } from './finding.ts'
import { type HostSight, isBusy, isDeadOwner, swarmOf, type WholePicture } from './whole-picture.ts'

/** `dead`: whether the process that holds a lock is a dead one of this machine. */
export function swarmFindings(picture: WholePicture, dead: (owner: string) => boolean = isDeadOwner): readonly Finding[] {
  const members = picture.hosts.filter(({ isHive }) => isHive)
  const swarm = swarmOf(picture)
  if (swarm === undefined) return withoutView(members)
  return [...ofNodes(swarm, picture.hosts, isBusy(picture, dead)), ...ofNetworks(swarm, picture), ...ofServices(swarm, picture)]
}

/** No manager says what there is: there is no swarm, or no majority. */
function withoutView(members: readonly HostSight[]): readonly Finding[] {
  const managers = members.filter(({ isManager }) => isManager)
  const inSwarm = managers.filter(({ condition }) => condition?.docker?.manager === true)
  if (inSwarm.length === 0) return []
  const away = managers.filter(({ condition }) => condition?.docker?.manager !== true)
  return [
    finding({
      state: 'swarm-no-majority',
      volume: undefined,
      hosts: managers.map(({ name }) => name),
      title: 'the managers of the swarm have no majority: what runs goes on, and nothing can be moved or changed',
      evidence: managers.map(({ name, condition, error }) => {
        const docker = condition?.docker
        if (condition === undefined) return `${name}: ${error ?? 'does not answer'}`
        return `${name}: ${docker === undefined ? 'docker does not answer' : `${docker.state}${docker.error === '' ? '' : `: ${docker.error}`}`}`
      }),
      advice:
        away.length === 0
          ? 'all of them are up: do they reach each other on port 2377/tcp?'
          : `bring back ${away.map(({ shortName }) => shortName).join(', ')}; more than half of the managers must be there. Where they are gone for good: hivecoord swarm recover`,
    }),
  ]
}

function ofNodes({ nodes }: SwarmView, hosts: readonly HostSight[], busy: boolean): readonly Finding[] {
  const found: Finding[] = []
  if (!nodes.some(({ leader }) => leader))
    found.push(
      finding({
        state: 'swarm-no-leader',
        volume: undefined,
        hosts: [],
        title: 'the swarm has no leader',
        evidence: nodes.map((node) => `${node.name}: ${node.role} ${node.state} ${node.reachability}`.trimEnd()),
        advice: 'an election takes seconds; where it lasts, a restart of docker on one manager after the other ends it',
      }),
    )
  for (const host of hosts) {
    const own = nodes.filter(({ name }) => isNodeOf(host, name))
    const about = { volume: undefined, hosts: [host.name] }
    const mark = markOf(nodes, host)
    if (mark !== undefined && !busy)
      found.push(
        finding({
          ...about,
          state: 'work-left',
          title: `${host.name}: planned work that has begun was not ended${mark.boot === 'todo' ? ': its turn did not come' : mark.boot === 'done' ? ': the others are left' : ''}`,
          evidence: [`hosts of the command: ${mark.hosts.join(', ')}`, `taking tasks before: ${mark.availability}`],
          advice: isDrill(mark)
            ? 'where nobody is at it any more: the drill puts its host back'
            : 'where nobody is at it any more: the same command again goes on, `hivecoord host undrain` leaves the rest',
          command: wayOutOf(mark, host),
        }),
      )
    if (!host.isHive) continue
    const node = own.find(({ state }) => state === 'ready') ?? own[0]
    if (node === undefined) {
      found.push(
        finding({
          ...about,
          state: 'node-missing',
          title: `${host.name} is no member of the swarm`,
          evidence: host.condition?.docker === undefined ? [] : [`its docker says: ${host.condition.docker.state}`],
          command: 'hivecoord setup-hosts',
        }),
      )
      continue
    }
    if (own.length > 1)
      found.push(
        finding({
          ...about,
          state: 'node-twice',
          title: `the swarm has ${own.length} nodes called ${node.name}`,
          evidence: own.map(({ id, state, role }) => `${id}: ${role}, ${state}`),
          advice: 'what is left of a machine that was replaced goes with the next setup-hosts, or by hand',
          command: ((id) =>
            id === undefined
              ? ''
              : `hivecoord call ${hosts.find(({ condition }) => condition?.swarm !== undefined)?.shortName ?? host.shortName} SwarmService/RemoveNode '{"node": "${id}", "force": true}'`)(
            own.find(({ state, role }) => state !== 'ready' && role === 'worker')?.id,
          ),
        }),
      )
    // Where the host itself is off or its docker is, that is what is wrong.
    if (node.state !== 'ready' && host.condition?.docker !== undefined)
      found.push(
        finding({
          ...about,
          state: 'node-down',
          title: `${host.name}: its docker runs, and the swarm calls it ${node.state}`,
          evidence: [`its docker says: ${host.condition.docker.state}${host.condition.docker.error === '' ? '' : `, ${host.condition.docker.error}`}`],
          advice: 'are ports 2377/tcp, 7946/tcp and udp and 4789/udp open between the hosts, both ways?',
          command: `hivecoord node unit ${host.shortName} restart docker.service`,
        }),
      )
    if (node.availability !== 'active' && mark === undefined && !busy)
      found.push(
        finding({
          ...about,
          state: 'node-drained',
          title: `${host.name} takes no tasks (${node.availability}), and no work on it is under way`,
          evidence: [],
          command: `hivecoord host undrain ${host.shortName}`,
        }),
      )
    const missing = host.groups.filter((group) => node.labels[group] !== 'true')
    if (missing.length > 0)
      found.push(
        finding({
          ...about,
          state: 'labels-missing',
          title: `${host.name}: its node lacks the labels ${missing.join(', ')}: placement constraints do not find it`,
          evidence: [],
          command: 'hivecoord setup-hosts',
        }),
      )
  }
  return found
}

function wayOutOf(mark: Mark, { shortName }: Pick<HostSight, 'shortName'>): string {
  if (isDrill(mark)) return 'hivecoord drill failover --undo'
  return mark.boot === 'todo' || mark.boot === 'done' ? `hivecoord host reboot ${mark.hosts.join(' ')}` : `hivecoord host undrain ${shortName}`
}

function ofNetworks({ networks }: SwarmView, { networks: wanted }: WholePicture): readonly Finding[] {
  const missing = wanted.filter((name) => !networks.some((network) => network.name === name))
  if (missing.length === 0) return []
  return [
    finding({
      state: 'network-missing',
      volume: undefined,
      hosts: [],
      title: `the swarm lacks the network${missing.length === 1 ? '' : 's'} ${missing.join(', ')}`,
      evidence: [],
      command: 'hivecoord build-networks',
    }),
  ]
}

function ofServices(swarm: SwarmView, { services, hosts }: WholePicture): readonly Finding[] {
  const ready = new Set(swarm.nodes.filter(({ state }) => state === 'ready').map(({ name }) => name))
  return services.flatMap(({ name, constraints: written }): readonly Finding[] => {
    const about = { volume: undefined, hosts: [] }
    const service = swarm.services.find((one) => one.name === name)
    if (service === undefined)
      return [
        finding({
          ...about,
          state: 'service-missing',
          title: `the service ${name} is not there`,
          evidence: [],
          command: `hivecoord deploy-services --limit ${name}`,
        }),
      ]
    const constraints = [...new Set([...service.constraints, ...written])]
    const tasks = swarm.tasks.filter((task) => task.service === name)
    const wanted = tasks.filter(({ desiredState }) => desiredState === 'running' || desiredState === 'ready')
    const running = wanted.filter(({ state, node }) => state === 'running' && ready.has(node)).length
    const desired = service.mode === 'global' ? wanted.filter(({ node }) => ready.has(node)).length : service.desired
    const found: Finding[] = []
    if (running < desired) found.push(behind(name, running, desired, tasks, swarm, constraints))
    const places = swarm.nodes.filter((node) => node.state === 'ready' && node.availability === 'active' && admits(constraints, node) !== 'no')
    const without = hosts.filter(
      (host) =>
        places.some((node) => isNodeOf(host, node.name)) && knowsImages(host) && !host.condition?.images.some((image) => isCalled(image, service.image)),
    )
    if (without.length > 0 && desired > 0)
      found.push(
        finding({
          ...about,
          hosts: without.map((host) => host.name),
          state: 'image-missing',
          title: `${without.map(({ shortName }) => shortName).join(', ')} may have to run ${name} and has no image of it`,
          evidence: [service.image],
          advice: 'with the repository server away, it could not run there',
          command: `hivecoord deploy-services --limit ${name}`,
        }),
      )
    return found
  })
}

function behind(name: string, running: number, desired: number, tasks: readonly TaskInfo[], { nodes }: SwarmView, constraints: readonly string[]): Finding {
  const about = { volume: undefined, hosts: [] }
  const nowhere = tasks.find(({ state, error }) => state === 'pending' && /no suitable node/i.test(error))
  if (nowhere !== undefined)
    return finding({
      ...about,
      state: 'placement-impossible',
      title: `${name} runs with ${running} of ${desired}: no node may take it`,
      evidence: [nowhere.error, ...nodes.map((node) => `${node.name}: ${whyNot(node, constraints)}`)],
      advice: 'compare its constraints with the labels, the free ports and the memory of the nodes',
      command: 'hivecoord setup-hosts',
    })
  const newest = (all: readonly TaskInfo[]): TaskInfo | undefined =>
    all.reduce<TaskInfo | undefined>((last, task) => ((task.since?.getTime() ?? 0) >= (last?.since?.getTime() ?? 0) ? task : last), undefined)
  const failed = newest(tasks.filter(({ state, error }) => error !== '' && hasEnded(state)))
  const waiting = tasks.filter(({ state, desiredState }) => desiredState === 'running' && state !== 'running' && !hasEnded(state))
  return finding({
    ...about,
    state: running === 0 ? 'service-down' : 'service-behind',
    title: `${name} runs with ${running} of ${desired}${failed === undefined ? '' : `: on ${failed.node} it ${failed.state === 'rejected' ? 'was rejected' : 'failed'}: ${failed.error}`}`,
    evidence: waiting.map((task) => `${task.state}${task.node === '' ? '' : ` on ${task.node}`}${task.error === '' ? '' : `: ${task.error}`}`),
    advice: `hivecoord ps ${name} and hivecoord logs ${name} --from containers tell more`,
    command: `hivecoord deploy-services --limit ${name}`,
  })
}

function whyNot(node: SwarmView['nodes'][number], constraints: readonly string[]): string {
  if (node.state !== 'ready') return `is ${node.state}`
  if (node.availability !== 'active') return `takes no tasks (${node.availability})`
  const refused = constraints.find((constraint) => admits([constraint], node) === 'no')
  return refused === undefined ? 'is allowed by its constraints' : `is not allowed: ${refused}`
}

const knowsImages = ({ condition }: HostSight): boolean => condition?.docker !== undefined && !condition.unlooked.some(({ what }) => what === 'images')
