/**
 * What planned work leaves in the swarm while it lasts, so that it can be gone on with when its coordinator died: a label of the host's node, or of a
 * manager for a host that is no node. There is none before and after. Pure.
 */
import { HiveError } from '../../proto/errors.ts'
import { type HostPicture, isNodeOf, type NodePicture } from '../guard/picture.ts'

type Marked = Pick<HostPicture, 'name' | 'shortName' | 'isHive'>

/** The label of a host's mark. */
export const markLabel = ({ shortName, isHive }: Omit<Marked, 'name'>): string => (isHive ? 'hive.reboot' : `hive.reboot.${shortName}`)

export interface Mark {
  /** Of the command that began it: its time and a random part. */
  readonly run: string
  /** todo: its turn comes. The boot that is to end: it is its turn. done: it runs another boot, is whole and was let in again. */
  readonly boot: string | 'todo' | 'done'
  /** What the node's availability was before: active, pause, drain. */
  readonly availability: string
  /** Short names of all hosts of the command. */
  readonly hosts: readonly string[]
}

export const writeMark = ({ run, boot, availability, hosts }: Mark): string => `${run} ${boot} ${availability} ${hosts.join(',')}`

/** It is its turn: it may be cordoned, and off. */
export const isUnderWay = (mark: Mark | undefined): mark is Mark => mark !== undefined && mark.boot !== 'todo' && mark.boot !== 'done'

/** What a drill's run begins with (drill/failover.ts): its host is put back by the drill alone, since its power may be off. */
export const drillPrefix = 'drill-'
export const isDrill = ({ run }: Mark): boolean => run.startsWith(drillPrefix)

/** The error for other work on a host that a drill has not put back. */
export const begunByDrill = ({ name }: Pick<HostPicture, 'name'>): HiveError =>
  new HiveError('blocked', `a drill of ${name} was begun and not ended`, { host: name, hint: 'hivecoord drill failover --undo puts the host back' })

/** undefined: the host has none, or one that is none of ours. */
export function markOf(nodes: readonly Pick<NodePicture, 'name' | 'labels'>[], host: Marked): Mark | undefined {
  const carriers = host.isHive ? nodes.filter(({ name }) => isNodeOf(host, name)) : nodes
  const text = carriers.map(({ labels }) => labels[markLabel(host)]).find((label) => label !== undefined)
  const [run, boot, availability, hosts, ...rest] = (text ?? '').split(' ')
  if (run === undefined || run === '' || boot === undefined || availability === undefined || hosts === undefined || rest.length > 0) return undefined
  return { run, boot, availability, hosts: hosts.split(',') }
}
