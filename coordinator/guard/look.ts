/** What the guard decides from, asked of all hosts at once. */
import type { ListServicesResponse, ServiceInfo, SwarmNode, TaskInfo } from '#gen/hive/v1/docker.ts'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { HiveError } from '../../proto/errors.ts'
import { hasEnded } from '../../proto/task-states.ts'
import type { AgentClient } from '../client/agent-client.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import { diskConstraints, holdsDisk, mirroredVolumesOf, mirrorsWithDrbd } from '../inventory/mirrored-volumes.ts'
import type { Service, Site } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { HostPicture, ServicePicture, SitePicture, VolumeStates } from './picture.ts'

export interface LookInput {
  readonly site: Site
  readonly agents: Pick<SiteAgents, 'askAll'>
  readonly signal: AbortSignal
  /** Images are taken from it, of hosts that it has them of: they do not come and go by themselves. */
  readonly before?: SitePicture | undefined
}

/** Milliseconds for each question. */
const deadline = 10_000

/** Never rejects but for `signal`: who does not answer is part of the picture. */
export async function lookAtSite({ site, agents, signal, before }: LookInput): Promise<SitePicture> {
  const names = site.hosts.map(({ name }) => name)
  const known = new Map(before?.hosts.flatMap(({ name, images }) => (images === undefined ? [] : [[name, images] as const])) ?? [])
  const hives = site.hosts.filter(({ isHive }) => isHive)
  const mirrors = mirrorsWithDrbd(site)
  const [hosts, swarm] = await Promise.all([
    agents.askAll(
      names,
      async (client) => {
        const isHive = hives.some(({ name }) => name === client.host)
        const [resources, images] = await Promise.all([
          isHive && mirrors ? resourcesOf(client, signal) : [],
          known.get(client.host) ?? (isHive ? imagesOf(client, signal) : undefined),
        ])
        // An answer of its own: a host that hangs with its disks still counts as there.
        await client.hostService.info({}, { deadline, signal })
        return { resources, images }
      },
      signal,
    ),
    swarmOf(managersOf(site.hosts), agents, signal),
  ])
  const answerOf = (name: string) => {
    const given = hosts.get(name)
    return given !== undefined && 'answer' in given ? given.answer : undefined
  }
  const volumes = mirrors ? mirroredVolumesOf(site) : []
  return {
    hosts: site.hosts.map(({ name, shortName, isHive }): HostPicture => {
      const answer = answerOf(name)
      return { name, shortName, isHive, answers: answer !== undefined, images: answer?.images }
    }),
    nodes: swarm?.nodes,
    services: swarm?.services.map((service) => servicePicture(service, swarm.tasks, site)),
    volumes: volumes.map(
      (volume): VolumeStates => ({
        name: volume.name,
        diskful: new Set(hives.filter((host) => holdsDisk(volume, host)).map(({ name }) => name)),
        hosts: new Map(
          hives.map(({ name }) => {
            const resources = answerOf(name)?.resources
            return [name, resources === undefined ? undefined : { status: resources.find((one) => one.name === volume.name) }]
          }),
        ),
      }),
    ),
  }
}

/** undefined: its storage does not answer. */
const resourcesOf = ({ drbd }: AgentClient, signal: AbortSignal): Promise<readonly DrbdResourceStatus[] | undefined> =>
  drbd.list({}, { deadline, signal }).then(
    ({ resources }) => resources,
    (error: unknown) => {
      // It answers, and has no DRBD.
      if (error instanceof HiveError && error.code === 'command-failed') return []
      return undefined
    },
  )

const imagesOf = ({ image }: AgentClient, signal: AbortSignal): Promise<HostPicture['images']> =>
  image.list({}, { deadline, signal }).then(
    ({ images }) => images,
    () => undefined,
  )

interface Swarm {
  readonly nodes: readonly SwarmNode[]
  readonly services: ListServicesResponse['services']
  readonly tasks: readonly TaskInfo[]
}

/** The answer of the first manager that has a majority behind it. */
async function swarmOf(managers: readonly string[], agents: LookInput['agents'], signal: AbortSignal): Promise<Swarm | undefined> {
  const asked = await agents.askAll(
    managers,
    async ({ swarm, service }) => {
      const [{ nodes }, { services }, { tasks }] = await Promise.all([
        swarm.listNodes({}, { deadline, signal }),
        service.list({}, { deadline, signal }),
        service.tasks({ service: '', runningOnly: false }, { deadline, signal }),
      ])
      return { nodes, services, tasks }
    },
    signal,
  )
  return [...asked.values()].flatMap((given) => ('answer' in given ? [given.answer] : []))[0]
}

function servicePicture(service: ServiceInfo, tasks: readonly TaskInfo[], site: Site): ServicePicture {
  const { name, mode, image, desired, ports } = service
  const written = site.services.find((one) => one.name === name && one.stages.includes(site.stage))
  const mounted = new Set([...service.volumes, ...volumesOf(written)])
  const mirrored = new Set(mirroredVolumesOf(site).map((volume) => volume.name))
  const shared = new Set(site.volumes.filter(({ kind }) => kind === 'nfs' || kind === 'driver').map((volume) => volume.name))
  return {
    name,
    mode: mode === 'global' ? 'global' : 'replicated',
    image,
    // An agent of an older version tells none.
    constraints: [...new Set([...service.constraints, ...(written === undefined ? [] : [...written.constraints, ...diskConstraints(written, site)])])],
    volumes: [...mounted].filter((volume) => mirrored.has(volume)),
    localVolumes: [...mounted].filter((volume) => !mirrored.has(volume) && !shared.has(volume)),
    hostPorts: ports.filter(({ mode: way }) => way === 'host').map(({ published, protocol }) => `${published}/${protocol}`),
    desired,
    tasks: tasks
      .filter((task) => task.service === name && !hasEnded(task.state))
      .map(({ node, state, desiredState }) => ({ node, state, wanted: desiredState === 'running' || desiredState === 'ready' })),
  }
}

const volumesOf = (service: Service | undefined): readonly string[] =>
  service?.mounts.flatMap(({ type, source }) => (type === 'volume' && source !== undefined ? [source] : [])) ?? []
