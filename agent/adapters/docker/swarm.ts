/** The swarm this host belongs to, and its nodes. Node operations are answered by managers only. */
import { HiveError } from '../../../proto/errors.ts'
import { type CallOptions, dockerDelete, dockerGet, dockerPost } from '../docker.ts'
import type { DaemonInfo, Node, NodeSpec } from './api-types.ts'
import { pause } from './wait.ts'

export const daemonInfo = (options: CallOptions = {}): Promise<DaemonInfo> => dockerGet<DaemonInfo>('/info', options)

export const listNodes = (options: CallOptions = {}): Promise<readonly Node[]> => dockerGet<readonly Node[]>('/nodes', options)

/** The token that hosts join with in this role. */
export async function joinToken(role: string, options: CallOptions = {}): Promise<string> {
  const swarm = await dockerGet<{ JoinTokens?: { Worker?: string; Manager?: string } }>('/swarm', options)
  const token = role === 'worker' ? swarm.JoinTokens?.Worker : swarm.JoinTokens?.Manager
  if (token === undefined || token === '') throw new HiveError('not-found', `the swarm has no token for role ${role}`)
  return token
}

/**
 * The node of this host name. A replaced host leaves its old entry behind under the same name, so the one that is
 * ready wins.
 */
export function nodeNamed(nodes: readonly Node[], name: string): Node | undefined {
  const named = nodes.filter((node) => node.ID === name || node.Description.Hostname === name)
  return named.find((node) => node.Status.State === 'ready') ?? named[0]
}

/** Changes a node's spec, again with the fresh one when somebody else changed it in between. */
export async function updateNode(name: string, edit: (spec: NodeSpec, node: Node) => NodeSpec, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const node = nodeNamed(await listNodes({ signal }), name)
    if (node === undefined) throw new HiveError('not-found', `the swarm has no node ${name}`)
    try {
      await dockerPost(`/nodes/${node.ID}/update`, { query: { version: String(node.Version.Index) }, body: edit(node.Spec, node), signal })
      return
    } catch (error) {
      if (!isOutOfSequence(error) || attempt >= 10) throw error
      await pause(50 * attempt, signal)
    }
  }
}

export const removeNode = (id: string, force: boolean, signal?: AbortSignal): Promise<unknown> =>
  dockerDelete(`/nodes/${id}`, { query: { force: String(force) }, ...(signal ? { signal } : {}) })

/** Docker's word for an update made on an old version of the thing. */
export const isOutOfSequence = (error: unknown): boolean => error instanceof Error && /update out of sequence/.test(error.message)

/** Docker's word while managers elect a leader or lack a majority. */
export const isWithoutLeader = (error: unknown): boolean =>
  error instanceof Error && /does not have a leader|has no leader|raft|context deadline exceeded/i.test(error.message)
