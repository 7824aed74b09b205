/** One line of `drbdsetup events2 --timestamps --statistics`, typed. Pure. */

export const verbs = ['exists', 'create', 'change', 'destroy', 'rename', 'call', 'response'] as const
export type DrbdVerb = (typeof verbs)[number]
export const objects = ['resource', 'connection', 'device', 'peer-device', 'path', 'helper'] as const
export type DrbdObject = (typeof objects)[number]

export interface DrbdEvent {
  /** Absent where the line has no time. */
  readonly at: Date | undefined
  readonly verb: DrbdVerb
  readonly object: DrbdObject
  readonly resource: string
  readonly peerNodeId: number | undefined
  /** The peer's name, as in its "on NAME". */
  readonly peer: string | undefined
  readonly volume: number | undefined
  /** The rest, in DRBD's own words: role, connection, disk, may_promote, helper, status … */
  readonly fields: ReadonlyMap<string, string>
}

/** undefined for what is no event. The initial dump ends with 'dumped'. */
export function parseEvent(line: string): DrbdEvent | 'dumped' | undefined {
  const words = line.trimEnd().split(' ')
  const at = /^\d{4}-\d\d-\d\dT/.test(words[0] ?? '') ? new Date(words.shift() ?? '') : undefined
  const verb = verbs.find((known) => known === words[0])
  if (verb === 'exists' && words[1] === '-') return 'dumped'
  const object = objects.find((known) => known === words[1])
  if (verb === undefined || object === undefined) return undefined
  const fields = new Map<string, string>()
  for (const word of words.slice(2)) {
    const colon = word.indexOf(':')
    if (colon > 0) fields.set(word.slice(0, colon), word.slice(colon + 1))
  }
  const take = (key: string): string | undefined => {
    const value = fields.get(key)
    fields.delete(key)
    return value
  }
  const resource = take('name')
  if (resource === undefined) return undefined
  return { at, verb, object, resource, peerNodeId: whole(take('peer-node-id')), peer: take('conn-name'), volume: whole(take('volume')), fields }
}

const whole = (text: string | undefined): number | undefined => (text === undefined || !/^\d+$/.test(text) ? undefined : Number(text))
