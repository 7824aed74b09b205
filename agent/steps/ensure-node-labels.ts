/** Swarm nodes carry these labels. Carried out by a manager; labels that are not named stay as they are. */
import type { EnsureNodeLabels, NodeLabels } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import type { Node } from '../adapters/docker/api-types.ts'
import { recentInfo, recentNodes } from '../adapters/docker/recent.ts'
import { listNodes, nodeNamed, updateNode } from '../adapters/docker/swarm.ts'
import { waitFor } from '../adapters/docker/wait.ts'
import { change, type Executor, ok } from './executor.ts'

/** A node shows itself to the managers shortly after its join was answered. */
const appearTimeout = 20_000

export const ensureNodeLabels: Executor<EnsureNodeLabels> = {
  exclusive: () => 'node-labels',

  async check(spec, context) {
    const { Swarm } = await recentInfo(context.signal)
    if (Swarm.LocalNodeState === 'inactive')
      return change('there is no swarm yet', '', spec.nodes.map((wanted) => describe(wanted.node, wanted.labels)).join('; '))
    const nodes = await recentNodes(context.signal)
    const absent = spec.nodes.filter((wanted) => nodeNamed(nodes, wanted.node) === undefined)
    const differing = spec.nodes.filter((wanted) => missing(wanted, nodeNamed(nodes, wanted.node)).length > 0)
    if (differing.length === 0) return ok
    return change(
      absent.length > 0
        ? `not yet in the swarm: ${absent.map((wanted) => wanted.node).join(', ')}`
        : `labels of ${differing.map((wanted) => wanted.node).join(', ')}`,
      differing.map((wanted) => describe(wanted.node, named(wanted, nodeNamed(nodes, wanted.node)))).join('; '),
      differing.map((wanted) => describe(wanted.node, wanted.labels)).join('; '),
    )
  },

  async apply(spec, context) {
    const nodes = await waitFor(
      `nodes ${spec.nodes.map((wanted) => wanted.node).join(', ')} in the swarm`,
      async () => {
        const seen = await listNodes({ signal: context.signal })
        return spec.nodes.every((wanted) => nodeNamed(seen, wanted.node) !== undefined) ? seen : undefined
      },
      { signal: context.signal, timeout: appearTimeout },
    ).catch(async (error: unknown) => {
      if (!(error instanceof HiveError) || error.code !== 'timeout') throw error
      const seen = await listNodes({ signal: context.signal })
      const absent = spec.nodes.filter((wanted) => nodeNamed(seen, wanted.node) === undefined).map((wanted) => wanted.node)
      throw new HiveError('not-found', `the swarm has no node ${absent.join(', ')}`, { hint: 'each host of the swarm joins it in setup-hosts' })
    })
    for (const wanted of spec.nodes) {
      if (missing(wanted, nodeNamed(nodes, wanted.node)).length === 0) continue
      context.log(describe(wanted.node, wanted.labels))
      await updateNode(wanted.node, (current) => ({ ...current, Labels: { ...current.Labels, ...wanted.labels } }), context.signal)
    }
  },
}

const missing = (wanted: NodeLabels, node: Node | undefined): string[] =>
  Object.entries(wanted.labels)
    .filter(([label, value]) => node === undefined || node.Spec.Labels?.[label] !== value)
    .map(([label]) => label)

/** The node's present values of the labels that are asked for. */
const named = (wanted: NodeLabels, node: Node | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(node?.Spec.Labels ?? {}).filter(([label]) => Object.hasOwn(wanted.labels, label)))

const describe = (node: string, labels: Readonly<Record<string, string>>): string =>
  `${node}: ${
    Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .sort()
      .join(' ') || 'none'
  }`
