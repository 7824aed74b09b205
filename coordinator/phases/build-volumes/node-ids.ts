/**
 * DRBD's node ids of a stage's hosts, recorded with the stage: they stand in the metadata of every disk and must not move. The first hosts
 * get their place in the list of names in string order, as hive-builder counted; hosts that come later the lowest id that no host ever
 * had; hosts that go keep theirs.
 */
import { HiveError } from '../../../proto/errors.ts'
import type { Host } from '../../inventory/site.ts'
import type { StageState } from '../../run/stage-state.ts'

const key = 'drbdNodeIds'
const lastNodeId = 31

export type NodeIds = Readonly<Record<string, number>>

/** All that is recorded, and an id for each of these hosts. Throws HiveError 'conflict' when all ids have been given. */
export function allocateNodeIds(recorded: NodeIds, hosts: readonly string[]): NodeIds {
  const ids: Record<string, number> = { ...recorded }
  const taken = new Set(Object.values(recorded))
  // With nothing recorded the lowest free id is the place in the list.
  for (const host of [...hosts].sort()) {
    if (Object.hasOwn(ids, host)) continue
    let id = 0
    while (taken.has(id)) id++
    if (id > lastNodeId)
      throw new HiveError('conflict', `${host} gets no node id: all ${lastNodeId + 1} have been given to hosts of this stage`, {
        hint: `take hosts that are gone for good out of ${key} in the stage's state.json, once no disk knows them any more`,
      })
    ids[host] = id
    taken.add(id)
  }
  return ids
}

/** Of the stage's hive hosts; recorded where they are new. */
export function nodeIdsOf(hosts: readonly Pick<Host, 'name' | 'isHive'>[], state: StageState): (host: Pick<Host, 'name'>) => number {
  const recorded = read(state.get(key))
  const hives = hosts.filter(({ isHive }) => isHive).map(({ name }) => name)
  const ids = allocateNodeIds(recorded, hives)
  if (hives.some((name) => !Object.hasOwn(recorded, name))) state.set(key, ids)
  return ({ name }) => {
    const id = ids[name]
    if (id === undefined) throw new HiveError('internal', `${name} is no hive host of this stage and has no node id`)
    return id
  }
}

function read(value: unknown): NodeIds {
  if (value === undefined) return {}
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined
  const legal = entries?.every(([, id]) => Number.isInteger(id) && Number(id) >= 0 && Number(id) <= lastNodeId)
  if (entries === undefined || legal !== true || new Set(entries.map(([, id]) => id)).size < entries.length)
    throw new HiveError('invalid-input', `${key} in the stage's state.json is damaged`, {
      hint: 'restore it from a copy: node ids stand in the metadata of every disk and must not change',
    })
  return Object.fromEntries(entries.map(([name, id]) => [name, Number(id)]))
}
