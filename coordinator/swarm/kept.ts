/** What a swarm under recovery does not know any more, kept with the stage: labels of nodes that were removed, until their hosts have nodes again, and who joins anew. */
import type { StageState } from '../run/stage-state.ts'

export function keptLabels(state: StageState, host: string) {
  const key = `node-labels ${host}`
  const get = (): Readonly<Record<string, string>> => {
    const value = state.get(key)
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  }
  return {
    get,
    add: (labels: Readonly<Record<string, string>>): void => {
      if (Object.keys(labels).length > 0) state.set(key, { ...get(), ...labels })
    },
    /** The host has them again. */
    clear: (): void => {
      if (state.get(key) !== undefined) state.set(key, undefined)
    },
  }
}

const rejoiningKey = 'rejoins-swarm'

/** Hosts that were told to leave, and have not joined yet. */
export function rejoining(state: Pick<StageState, 'get'>): ReadonlySet<string> {
  const value = state.get(rejoiningKey)
  return new Set(Array.isArray(value) ? value.map(String) : [])
}

export function noteRejoining(state: StageState, host: string, is: boolean): void {
  const now = rejoining(state)
  if (now.has(host) === is) return
  const next = is ? [...now, host] : [...now].filter((name) => name !== host)
  state.set(rejoiningKey, next.length === 0 ? undefined : next)
}

/** Without those that say what is under way, and not what the node is. */
export const lasting = (labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).filter(([label]) => !/^hive\.(reboot|marks)/.test(label)))
