/** Guards the majority of a swarm's managers: without one nothing can be changed any more. */
import { HiveError } from '../../../proto/errors.ts'
import type { Node } from '../../adapters/docker/api-types.ts'

/** Throws HiveError 'blocked' when the managers that remain without this one would be none, or not a reachable majority of themselves. */
export function assertMajorityWithout(nodes: readonly Node[], leaving: Node): void {
  const remaining = nodes.filter((node) => node.Spec.Role === 'manager' && node.ID !== leaving.ID)
  const reachable = remaining.filter((node) => node.ManagerStatus?.Reachability === 'reachable')
  if (remaining.length > 0 && reachable.length * 2 > remaining.length) return
  throw new HiveError(
    'blocked',
    `without ${leaving.Description.Hostname} the swarm would have ${reachable.length} reachable of ${remaining.length} managers: no majority`,
    { hint: 'bring the other managers back, or make another host a manager first' },
  )
}
