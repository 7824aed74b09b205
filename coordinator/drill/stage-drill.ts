/** Drills on a stage: under its lock, told to Zabbix, on its agents, the service asked on the ports that it publishes. */
import { HiveError } from '../../proto/errors.ts'
import { lookAtSite } from '../guard/look.ts'
import { type HostWorkInput, planned, type WorkOptions } from '../hosts/host-work.ts'
import { agentOperations } from '../hosts/operations.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { chosenFor, type Drilled, drillFailover, refuseStage, type Switch, undoDrill } from './failover.ts'
import { type Probe, portProbe } from './probe.ts'

export interface DrillInput extends HostWorkInput {
  /** undefined: hosts are drained instead. */
  readonly power: Switch | undefined
}

export interface DrillOptions extends Omit<WorkOptions, 'forced'> {
  readonly service: string
  /** The host is drained, although its power could be switched. */
  readonly drain: boolean
  /** A path that is asked by HTTP; undefined: that the port takes connections is enough. */
  readonly http: string | undefined
}

/** Milliseconds for one question. */
const deadline = 10_000

/** Rejects as `drillFailover` does, with 'locked' when another coordinator is at work, and with 'invalid-input' for a path without a port. */
export async function drill(input: DrillInput, options: DrillOptions): Promise<Drilled> {
  const { site, agents, signal } = input
  refuseStage(site.stage)
  const operations = agentOperations({ ...input, signal })
  const { host } = chosenFor(await operations.look(), options.service)
  const probe = await probeOf(input, options)
  return await planned(input, 'drill failover', [host.name], (common, run) =>
    drillFailover({
      ...common,
      ...options,
      forced: new Set(),
      stage: site.stage,
      run,
      power: options.drain ? undefined : input.power,
      probe,
      lookWithout: withoutHost({ site, agents, signal: common.signal }),
    }),
  )
}

/** Answers the hosts that were put back. */
export const endDrill = (input: DrillInput): Promise<readonly string[]> =>
  planned(input, 'drill failover --undo', [], (common, run) =>
    undoDrill({
      ...common,
      allowed: new Set(),
      forced: new Set(),
      wait: false,
      stage: input.site.stage,
      run,
      power: input.power,
      lookWithout: withoutHost({ ...input, signal: common.signal }),
    }),
  )

const withoutHost =
  ({ site, agents, signal }: Pick<HostWorkInput, 'site' | 'agents' | 'signal'>) =>
  (host: string) =>
    lookAtSite({ site: { ...site, hosts: site.hosts.filter(({ name }) => name !== host) }, agents, signal })

/** The ports that the swarm publishes for the service, on all hosts of the swarm. */
async function probeOf({ site, agents, signal }: DrillInput, { service, http }: DrillOptions): Promise<Probe | undefined> {
  const asked = await agents.askAll(managersOf(site.hosts), ({ service: calls }) => calls.list({}, { deadline, signal }), signal)
  const found = [...asked.values()].flatMap((given) => ('answer' in given ? [given.answer] : []))[0]?.services.find(({ name }) => name === service)
  if (found === undefined) throw new HiveError('not-found', `the swarm has no service ${service}`)
  const addresses = site.hosts.filter(({ isHive }) => isHive).map(({ address }) => address)
  return portProbe(found.ports, addresses, http)
}
