/** Whether a run may go on although some hosts are away. */
import { HiveError } from '../../proto/errors.ts'
import type { Host } from '../inventory/site.ts'

/**
 * Undefined where it is safe: more than half of the hive hosts answer (swarm's managers can then agree, and volumes keep their
 * quorum), and the first of them, which carries out what concerns all. Else the HiveError to stop with.
 */
export function whyNotSafe(hosts: readonly Pick<Host, 'name' | 'isHive' | 'isFirstHive'>[], away: ReadonlySet<string>): HiveError | undefined {
  const hives = hosts.filter(({ isHive }) => isHive)
  const gone = hives.filter(({ name }) => away.has(name)).map(({ name }) => name)
  if (gone.length === 0) return undefined
  const hint = 'start the hosts, or check the network between here and them; --limit leaves hosts out'
  if (gone.length * 2 >= hives.length)
    return new HiveError('unreachable', `only ${hives.length - gone.length} of ${hives.length} hive hosts answer, no majority: ${gone.join(', ')} do not`, {
      host: gone[0],
      hint,
    })
  const first = hives.find(({ isFirstHive }) => isFirstHive)
  if (first !== undefined && away.has(first.name))
    return new HiveError('unreachable', `${first.name}, the first hive host, does not answer, and it carries out what concerns the whole site`, {
      host: first.name,
      hint,
    })
  return undefined
}
