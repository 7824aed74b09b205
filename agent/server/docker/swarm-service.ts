/** The swarm as this host sees it, and the operations on its nodes. */
import { type ListNodesResponse, type SwarmInfoResponse, SwarmServiceService } from '#gen/hive/v1/docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Node } from '../../adapters/docker/api-types.ts'
import { daemonInfo, joinToken, listNodes, nodeNamed, removeNode, updateNode } from '../../adapters/docker/swarm.ts'
import { dockerPost } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'
import { forceNewCluster, raftOf } from './lost-quorum.ts'
import { assertMajorityWithout } from './majority.ts'

export const swarmService = (context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    SwarmServiceService,
    {
      info: (_request, { signal }) => swarmInfo(signal),

      async joinToken({ role }, { signal }) {
        return { token: await joinToken(role, { signal }) }
      },

      listNodes: (_request, { signal }) => swarmNodes(signal),

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureSwarmMember', value: request } } }, signal),
      setLabels: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureNodeLabels', value: request } } }, signal),

      async setLabel({ node, label, value }, { signal }) {
        if (label === '') throw new HiveError('invalid-input', 'a label needs a name')
        const found = required(await listNodes({ signal }), node)
        const before = found.Spec.Labels?.[label] ?? ''
        if (before === value) return { changed: false, reason: value === '' ? 'has no such label' : `is ${value}` }
        await updateNode(
          found.ID,
          (spec) => {
            const { [label]: _, ...others } = spec.Labels ?? {}
            return { ...spec, Labels: value === '' ? others : { ...others, [label]: value } }
          },
          signal,
        )
        return { changed: true, reason: before === '' ? 'had none' : `was ${before}` }
      },

      async leave({ force }, { signal }) {
        const { Swarm } = await daemonInfo({ signal })
        if (Swarm.LocalNodeState === 'inactive') return { changed: false, reason: 'not in a swarm' }
        if (Swarm.ControlAvailable && !force)
          throw new HiveError('blocked', 'this host is a manager of the swarm', { hint: 'demote it first (SetRole at another manager), or force' })
        await dockerPost('/swarm/leave', { query: { force: String(force) }, signal })
        return { changed: true, reason: 'left the swarm' }
      },

      async setAvailability({ node, availability }, { signal }) {
        if (!['active', 'pause', 'drain'].includes(availability))
          throw new HiveError('invalid-input', `availability is active, pause or drain, not ${availability}`)
        const found = required(await listNodes({ signal }), node)
        if (found.Spec.Availability === availability) return { changed: false, reason: `is ${availability}` }
        await updateNode(found.ID, (spec) => ({ ...spec, Availability: availability }), signal)
        return { changed: true, reason: `was ${found.Spec.Availability}` }
      },

      async setRole({ node, role }, { signal }) {
        if (role !== 'manager' && role !== 'worker') throw new HiveError('invalid-input', `role is manager or worker, not ${role}`)
        const nodes = await listNodes({ signal })
        const found = required(nodes, node)
        if (found.Spec.Role === role) return { changed: false, reason: `is ${role}` }
        if (role === 'worker') assertMajorityWithout(nodes, found)
        await updateNode(found.ID, (spec) => ({ ...spec, Role: role }), signal)
        return { changed: true, reason: `was ${found.Spec.Role}` }
      },

      raft: (_request, { signal }) => raftOf(signal),
      forceNewCluster: (request, { signal }) => context.exclusive('swarm', signal, () => forceNewCluster(request, context.log, signal)),

      async removeNode({ node, force }, { signal }) {
        const nodes = await listNodes({ signal })
        const found =
          nodes.find((candidate) => candidate.ID === node) ??
          nodes.find((candidate) => candidate.Description.Hostname === node && candidate.Status.State !== 'ready') ??
          nodeNamed(nodes, node)
        if (found === undefined) return { changed: false, reason: `the swarm has no node ${node}` }
        // One that raft does not have, as after a new cluster was forced, can't be demoted either.
        if (found.Spec.Role === 'manager' && found.ManagerStatus !== undefined)
          throw new HiveError('blocked', `${node} is a manager of the swarm`, {
            hint: `demote it first: SwarmService/SetRole {"node": "${found.ID}", "role": "worker"}`,
          })
        await removeNode(found.ID, force, signal)
        return { changed: true, reason: `was ${found.Status.State}` }
      },
    },
    healthy,
  )

export async function swarmInfo(signal: AbortSignal): Promise<SwarmInfoResponse> {
  const info = await daemonInfo({ signal })
  const { Swarm } = info
  // A manager without majority does not answer; what it knows of itself is still told.
  const nodes = Swarm.ControlAvailable ? await listNodes({ signal, timeout: 5000 }).catch(() => []) : []
  return {
    state: Swarm.LocalNodeState,
    nodeId: Swarm.NodeID ?? '',
    manager: Swarm.ControlAvailable,
    leader: nodes.some((node) => node.ID === Swarm.NodeID && node.ManagerStatus?.Leader === true),
    managers: Swarm.Managers ?? 0,
    nodes: Swarm.Nodes ?? 0,
    clusterId: Swarm.Cluster?.ID ?? '',
    dockerVersion: info.ServerVersion,
    error: Swarm.Error ?? '',
  }
}

export const swarmNodes = async (signal: AbortSignal): Promise<ListNodesResponse> => ({ nodes: (await listNodes({ signal })).map(toMessage) })

function required(nodes: readonly Node[], name: string): Node {
  const found = nodeNamed(nodes, name)
  if (found === undefined)
    throw new HiveError('not-found', `the swarm has no node ${name}`, { hint: `it has ${nodes.map((node) => node.Description.Hostname).join(', ')}` })
  return found
}

const toMessage = (node: Node) => ({
  id: node.ID,
  name: node.Description.Hostname,
  role: node.Spec.Role,
  availability: node.Spec.Availability,
  state: node.Status.State,
  address: node.Status.Addr ?? '',
  leader: node.ManagerStatus?.Leader ?? false,
  reachability: node.ManagerStatus?.Reachability ?? '',
  labels: { ...node.Spec.Labels },
  dockerVersion: node.Description.Engine?.EngineVersion ?? '',
})
