/** Users and groups of the host as its name services (getent) tell them. */
import { run } from './command.ts'
import { gathered } from './gathered.ts'

export interface Passwd {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

export interface Group {
  readonly name: string
  readonly gid: number
  /** Members listed with the group; not those that have it as primary group. */
  readonly members: readonly string[]
}

/** One line of `getent passwd`; undefined where it is none. */
export function parsePasswd(line: string): Passwd | undefined {
  const [name, , uid, gid, , home, shell] = line.trim().split(':')
  if (name === undefined || name === '' || uid === undefined || gid === undefined) return undefined
  return { name, uid: Number(uid), gid: Number(gid), home: home ?? '', shell: shell ?? '' }
}

/** One line of `getent group`; undefined where it is none. */
export function parseGroup(line: string): Group | undefined {
  const [name, , gid, members] = line.trim().split(':')
  if (name === undefined || name === '' || gid === undefined) return undefined
  return { name, gid: Number(gid), members: (members ?? '').split(',').filter((member) => member !== '') }
}

/** A user by name or number; undefined where there is none. */
export const findUser = (key: string | number): Promise<Passwd | undefined> => passwd(String(key))

/** A group by name or number; undefined where there is none. */
export const findGroup = (key: string | number): Promise<Group | undefined> => group(String(key))

const passwd = gathered((keys: readonly string[]) => getent('passwd', keys, parsePasswd, ({ uid }) => uid))
const group = gathered((keys: readonly string[]) => getent('group', keys, parseGroup, ({ gid }) => gid))

async function getent<T extends { readonly name: string }>(
  database: string,
  keys: readonly string[],
  parse: (line: string) => T | undefined,
  numberOf: (entry: T) => number,
): Promise<readonly (T | undefined)[]> {
  // 2: some of the keys are unknown.
  const { stdout } = await run(['getent', database, ...keys], { readOnly: true, okCodes: [0, 2], timeout: 20_000 })
  const entries = stdout.split('\n').flatMap((line) => parse(line) ?? [])
  return keys.map((key) => entries.find((entry) => (/^\d+$/.test(key) ? numberOf(entry) === Number(key) : entry.name === key)))
}
