/** A docker network exists as asked for. One that differs is replaced only when nothing is attached to it. */
import type { EnsureNetwork } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { Network, Service } from '../adapters/docker/api-types.ts'
import { createNetwork, inspectNetwork, networkDifferences, removeNetwork, servicesOn, servicesOnIngress } from '../adapters/docker/networks.ts'
import { recentInfo, recentNetworks, recentServices } from '../adapters/docker/recent.ts'
import { waitFor } from '../adapters/docker/wait.ts'
import { blocked, type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

/** Docker takes an overlay network away in the background: its name and its addresses come free a little later. */
const replaceTimeout = 60_000
/** The swarm's leader gives a new overlay network its addresses some milliseconds after it is made. */
const allocationTimeout = 10_000

export const ensureNetwork: Executor<EnsureNetwork> = {
  exclusive: (spec) => (spec.ingress ? 'ingress-network' : `network ${spec.name}`),

  async check(spec, context) {
    const { Swarm } = await recentInfo(context.signal)
    const inSwarm = Swarm.LocalNodeState !== 'inactive'
    if (!spec.hostLocal && spec.driver === 'overlay' && !inSwarm) return change('there is no swarm yet', '', describe(spec))
    const found = present(spec, await recentNetworks(context.signal))
    const existing = found === undefined ? undefined : await allocated(found, context)
    if (existing === undefined) return change('does not exist', '', describe(spec))
    if (!isAllocated(existing)) return notAllocated(existing)
    const differences = differencesOf(spec, existing)
    if (differences.length === 0) return ok
    const users = await usersOf(spec, existing, inSwarm, context)
    const what = differences.map((difference) => difference.what).join(', ')
    const before = differences.map((difference) => `${difference.what} ${difference.before || 'none'}`).join('; ')
    const after = differences.map((difference) => `${difference.what} ${difference.after || 'none'}`).join('; ')
    if (users.length > 0) return inUse(existing, what, before, after, users)
    return change(`is replaced, nothing uses it: other ${what}`, before, after)
  },

  async apply(spec, context) {
    const { signal } = context
    const found = present(spec, await recentNetworks(signal))
    const existing = found === undefined ? undefined : await allocated(found, context)
    if (existing !== undefined && isAllocated(existing) && differencesOf(spec, existing).length > 0) {
      context.log(`removing ${existing.Name}`)
      await removeNetwork(existing.Id, signal)
      await waitFor(`${existing.Name} to be gone`, async () => ((await inspectNetwork(existing.Id, signal)) === undefined ? true : undefined), {
        signal,
        timeout: replaceTimeout,
      })
    } else if (existing !== undefined) return
    await waitFor(`network ${spec.name} to be made`, () => created(spec, context), { signal, timeout: replaceTimeout, every: 500 })
  },
}

/** The network that takes this place now: for ingress the swarm's only one, whatever its name. */
function present(spec: EnsureNetwork, networks: readonly Network[]): Network | undefined {
  const scope = spec.driver === 'overlay' ? 'swarm' : 'local'
  if (spec.ingress) return networks.find((network) => network.Ingress === true)
  return networks.find((network) => network.Name === spec.name && network.Scope === scope) ?? networks.find((network) => network.Name === spec.name)
}

/** Until then docker tells neither its driver nor its addresses, which is no difference to what is asked for. */
const isAllocated = (network: Network): boolean => network.Driver !== ''

/** The network once it has its addresses, or as it is after a while; undefined where it went meanwhile. */
async function allocated(network: Network, { signal }: StepContext): Promise<Network | undefined> {
  if (isAllocated(network)) return network
  const until = Date.now() + allocationTimeout
  const look = async (): Promise<{ readonly seen: Network | undefined } | undefined> => {
    const seen = await inspectNetwork(network.Id, signal)
    return seen === undefined || isAllocated(seen) || Date.now() >= until ? { seen } : undefined
  }
  return (await waitFor(`addresses of ${network.Name}`, look, { signal, timeout: allocationTimeout * 2, every: 50 })).seen
}

const notAllocated = (network: Network): CheckOutcome =>
  blocked(
    `${network.Name} was made, and the swarm has given it no addresses yet`,
    'its leader does that: `hivecoord node swarm HOST` shows whether there is one',
  )

function differencesOf(spec: EnsureNetwork, network: Network) {
  const differences = networkDifferences(spec, network)
  return network.Name === spec.name ? differences : [{ what: 'name', before: network.Name, after: spec.name }, ...differences]
}

async function usersOf(spec: EnsureNetwork, network: Network, inSwarm: boolean, context: StepContext): Promise<string[]> {
  const services: readonly Service[] = inSwarm && network.Scope === 'swarm' ? await recentServices(context.signal) : []
  const ofServices = spec.ingress ? servicesOnIngress(services) : servicesOn(network, services)
  const attached = Object.entries((await inspectNetwork(network.Id, context.signal))?.Containers ?? {})
    // Docker's own end points of load balancing and of the routing mesh go with the network.
    .filter(([id]) => !/^(lb-|ingress-sbox|gateway_)/.test(id))
    .map(([id, container]) => container.Name ?? id)
    .filter((name) => !/^gateway_|-endpoint$|-sbox$/.test(name) && !ofServices.some((service) => name.startsWith(`${service}.`)))
  return [...ofServices, ...attached]
}

const inUse = (network: Network, what: string, before: string, after: string, users: readonly string[]): CheckOutcome =>
  blocked(
    `${network.Name} exists with other ${what} (${before}; asked for: ${after}) and is in use`,
    `take these off it first, or leave the network as it is: ${users.join(', ')}`,
  )

/** true when made; undefined while docker still holds on to what was there before. */
async function created(spec: EnsureNetwork, context: StepContext): Promise<true | undefined> {
  try {
    await createNetwork(spec, context.signal)
    return true
  } catch (error) {
    if (error instanceof HiveError && error.code === 'conflict') {
      const there = await inspectNetwork(spec.name, context.signal)
      if (there !== undefined && differencesOf(spec, there).length === 0) return true
    }
    if (!/already exists|in use|is already present|being removed|overlaps/i.test(messageOf(error))) throw error
    context.log(messageOf(error))
    return undefined
  }
}

const describe = (spec: EnsureNetwork): string =>
  [spec.driver, ...spec.ipam.map((entry) => entry.subnet).filter((subnet) => subnet !== ''), ...(spec.attachable ? ['attachable'] : [])].join(', ')
