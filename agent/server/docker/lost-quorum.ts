/**
 * A manager whose swarm has lost its majority for good: what it still has, and going on from there alone.
 *
 * - docker refuses while it does not take itself for a manager, which passes some seconds after it started.
 * - It may answer with an error though the new cluster is made: whether it has a leader is what counts.
 * - Nothing is ever taken away here: what a failed attempt leaves is what the next one begins with.
 */
import type { ForceNewClusterRequest, RaftResponse } from '#gen/hive/v1/docker.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { RaftEnd } from '../../../proto/raft-order.ts'
import { endOfRaftLog } from '../../adapters/docker/raft-log.ts'
import { daemonInfo, listNodes } from '../../adapters/docker/swarm.ts'
import { waitFor } from '../../adapters/docker/wait.ts'
import { dockerPost } from '../../adapters/docker.ts'
import type { OperationResult, ServerContext } from '../context.ts'

const attempts = 3
/** Milliseconds. */
const askLeader = 5_000
const leaderWithin = 45_000
const initTimeout = 90_000

/** Rejects where docker does not answer. */
export async function raftOf(signal: AbortSignal): Promise<RaftResponse> {
  const info = await daemonInfo({ signal })
  const { Swarm, DockerRootDir = '/var/lib/docker' } = info
  const [log, leader] = await Promise.all([
    endOfRaftLog(DockerRootDir).then(
      (end): { readonly end: RaftEnd | undefined; readonly why: string } => ({ end, why: '' }),
      (error: unknown) => ({ end: undefined, why: messageOf(error) }),
    ),
    Swarm.ControlAvailable ? leaderSeen(signal) : undefined,
  ])
  return {
    state: Swarm.LocalNodeState,
    nodeId: Swarm.NodeID ?? '',
    address: Swarm.NodeAddr ?? '',
    manager: Swarm.ControlAvailable,
    error: Swarm.Error ?? '',
    leader: leader ?? '',
    managers: (Swarm.RemoteManagers ?? []).map(({ NodeID, Addr }) => ({ nodeId: NodeID, address: Addr })),
    kept: log.end !== undefined || log.why !== '',
    term: log.end?.term ?? 0n,
    index: log.end?.index ?? 0n,
    unreadable: log.why,
  }
}

const leaderSeen = (signal: AbortSignal): Promise<string | undefined> =>
  listNodes({ signal, timeout: askLeader, electionPatience: 0 }).then(
    (nodes) => nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)?.ID,
    () => undefined,
  )

/** Rejects with 'blocked' where it is not this host that was meant, where it has no raft log, and where a leader answers that is another one. */
export async function forceNewCluster(
  { nodeId, advertiseAddress }: ForceNewClusterRequest,
  log: ServerContext['log'],
  signal: AbortSignal,
): Promise<OperationResult> {
  const before = await raftOf(signal)
  if (before.leader !== '' && before.leader === before.nodeId) return { changed: false, reason: 'leads the swarm' }
  if (before.leader !== '') throw new HiveError('blocked', `the swarm has a leader (node ${before.leader}): it has a majority`)
  if (before.state === 'locked')
    throw new HiveError('blocked', 'the swarm is locked on this host', { hint: 'docker swarm unlock with the swarm’s key, on the host' })
  if (nodeId === '' || (before.nodeId !== '' && before.nodeId !== nodeId))
    throw new HiveError('blocked', `this host is the swarm's node ${before.nodeId}, not ${nodeId || 'one without a name'}`)
  if (!before.kept) throw new HiveError('blocked', 'this host has nothing of the swarm on its disk: it is no manager')
  let failure: unknown
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    try {
      await dockerPost('/swarm/init', {
        body: { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: advertiseAddress, ForceNewCluster: true, Spec: {} },
        signal,
        timeout: initTimeout,
      })
    } catch (error) {
      failure = error
      log.warn({ err: error, attempt }, 'docker answers that it did not make a new cluster')
    }
    const leads = await waitFor(
      'leading the swarm',
      async () => {
        const { leader, nodeId: id } = await raftOf(signal).catch(() => ({ leader: '', nodeId: '' }))
        return leader !== '' && leader === id ? true : undefined
      },
      { signal, timeout: leaderWithin, every: 1000 },
    ).catch((error: unknown) => {
      if (signal.aborted) throw error
      failure ??= error
      return false
    })
    if (leads) return { changed: true, reason: 'is the only manager of the swarm now' }
  }
  throw new HiveError('command-failed', `docker: ${messageOf(failure)}`, {
    hint: 'systemctl restart docker on this host, then the same command again; nothing of the swarm is lost',
    cause: failure,
  })
}
