/** Users and groups of the host as its name services (getent) tell them. */
import { run } from './command.ts'

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
export const findUser = async (key: string | number): Promise<Passwd | undefined> => parsePasswd(await getent('passwd', String(key)))

/** A group by name or number; undefined where there is none. */
export const findGroup = async (key: string | number): Promise<Group | undefined> => parseGroup(await getent('group', String(key)))

async function getent(database: string, key: string): Promise<string> {
  // 2: no such key.
  const { stdout } = await run(['getent', database, key], { readOnly: true, okCodes: [0, 2], timeout: 20_000 })
  return stdout
}
