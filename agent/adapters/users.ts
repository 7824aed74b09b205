/** Users and groups: what differs from what is wanted, and the commands that make it so. */
import { HiveError } from '../../proto/errors.ts'
import { findGroup, findUser, type Passwd } from './accounts.ts'
import { addKeys, missingKeysOf } from './authorized-keys.ts'
import { run } from './command.ts'
import { readFileState, writeFileValidated } from './files.ts'

export interface WantedGroup {
  readonly name: string
  readonly gid: number | undefined
  readonly sudo: boolean
  /** Where it has no number of its own: one of those for the system's own groups, which no user of the site asks for. */
  readonly system?: boolean
}

export interface WantedUser {
  readonly name: string
  readonly uid: number | undefined
  /** Primary group. */
  readonly group: string
  /** Used when the user is made, not changed later. */
  readonly home: string
  readonly shell: string
  readonly keys: readonly string[]
  readonly sudo: boolean
  /** Supplementary groups; those that the host does not have are passed over. */
  readonly groups: readonly string[]
}

export type Finding = { readonly kind: 'change' | 'conflict'; readonly text: string }
const differs = (text: string): Finding => ({ kind: 'change', text })
const conflict = (text: string): Finding => ({ kind: 'conflict', text })

/** A number that is taken or differs is a conflict: files on the host belong to the number that is there. */
export async function compareGroup(wanted: WantedGroup): Promise<Finding[]> {
  const found: Finding[] = []
  const group = await findGroup(wanted.name)
  if (group === undefined) {
    const other = wanted.gid === undefined ? undefined : await findGroup(wanted.gid)
    found.push(
      other === undefined ? differs(`group ${wanted.name} is missing`) : conflict(`gid ${wanted.gid} of group ${wanted.name} belongs to ${other.name}`),
    )
  } else if (wanted.gid !== undefined && group.gid !== wanted.gid) found.push(conflict(`group ${wanted.name} has gid ${group.gid}, not ${wanted.gid}`))
  if (wanted.sudo && !(await sudoersFits(`%${wanted.name}`, wanted.name))) found.push(differs(`group ${wanted.name} may not use sudo`))
  return found
}

export async function compareUser(wanted: WantedUser): Promise<Finding[]> {
  const found: Finding[] = []
  const user = await findUser(wanted.name)
  if (user === undefined) {
    const other = wanted.uid === undefined ? undefined : await findUser(wanted.uid)
    found.push(other === undefined ? differs(`user ${wanted.name} is missing`) : conflict(`uid ${wanted.uid} of ${wanted.name} belongs to ${other.name}`))
  } else {
    if (wanted.uid !== undefined && user.uid !== wanted.uid) found.push(conflict(`${wanted.name} has uid ${user.uid}, not ${wanted.uid}`))
    if ((await primaryGroupOf(user)) !== wanted.group) found.push(differs(`${wanted.name} has another primary group than ${wanted.group}`))
    if (wanted.shell !== '' && user.shell !== wanted.shell) found.push(differs(`${wanted.name} has the shell ${user.shell}`))
    const keys = await missingKeysOf(user, wanted.keys)
    if (keys.length > 0) found.push(differs(`${wanted.name} lacks ${keys.length} ssh key${keys.length === 1 ? '' : 's'}`))
  }
  const missing = await missingGroups(wanted)
  if (missing.length > 0) found.push(differs(`${wanted.name} is not in ${missing.join(', ')}`))
  if (wanted.sudo && !(await sudoersFits(wanted.name, wanted.name))) found.push(differs(`${wanted.name} may not use sudo`))
  return found
}

export async function ensureGroup(wanted: WantedGroup, signal: AbortSignal): Promise<void> {
  if ((await findGroup(wanted.name)) === undefined)
    await run(['groupadd', ...(wanted.system === true ? ['--system'] : []), ...(wanted.gid === undefined ? [] : ['--gid', String(wanted.gid)]), wanted.name], {
      signal,
    })
  if (wanted.sudo) await ensureSudoers(`%${wanted.name}`, wanted.name, signal)
}

/** The primary group must be there. */
export async function ensureUser(wanted: WantedUser, signal: AbortSignal): Promise<void> {
  const user = await findUser(wanted.name)
  if (user === undefined) {
    const uid = wanted.uid === undefined ? [] : ['--uid', String(wanted.uid)]
    const home = wanted.home === '' ? [] : ['--home-dir', wanted.home]
    const shell = ['--shell', wanted.shell === '' ? '/bin/bash' : wanted.shell]
    await run(['useradd', '--create-home', '--no-user-group', '--gid', wanted.group, ...uid, ...home, ...shell, wanted.name], { signal })
  } else {
    if ((await primaryGroupOf(user)) !== wanted.group) await run(['usermod', '--gid', wanted.group, wanted.name], { signal })
    if (wanted.shell !== '' && user.shell !== wanted.shell) await run(['usermod', '--shell', wanted.shell, wanted.name], { signal })
  }
  const missing = await missingGroups(wanted)
  if (missing.length > 0) await run(['usermod', '--append', '--groups', missing.join(','), wanted.name], { signal })
  const made = await findUser(wanted.name)
  if (made === undefined) throw new HiveError('not-converged', `the user ${wanted.name} was made, but the host does not know it`)
  if (wanted.keys.length > 0) await addKeys(made, wanted.keys)
  if (wanted.sudo) await ensureSudoers(wanted.name, wanted.name, signal)
}

const primaryGroupOf = async (user: Passwd): Promise<string | undefined> => (await findGroup(user.gid))?.name

async function missingGroups(wanted: WantedUser): Promise<string[]> {
  const missing: string[] = []
  for (const name of wanted.groups) {
    const group = await findGroup(name)
    if (group !== undefined && name !== wanted.group && !group.members.includes(wanted.name)) missing.push(name)
  }
  return missing
}

/** sudo passes over file names with a dot. */
const sudoersPath = (name: string): string => `/etc/sudoers.d/hive-${name.replaceAll('.', '_')}`
const sudoersText = (who: string): string => `${who} ALL=(ALL:ALL) NOPASSWD: ALL\n`

async function sudoersFits(who: string, name: string): Promise<boolean> {
  const state = await readFileState(sudoersPath(name))
  return state !== undefined && state.content.toString('utf8') === sudoersText(who) && state.mode === 0o440
}

/** A wrong line in sudoers.d would take sudo from everybody, so visudo sees the file before it counts. */
async function ensureSudoers(who: string, name: string, signal: AbortSignal): Promise<void> {
  if (await sudoersFits(who, name)) return
  await writeFileValidated(sudoersPath(name), sudoersText(who), { mode: 0o440, uid: 0, gid: 0 }, async (temporary) => {
    await run(['visudo', '-cf', temporary], { signal })
  })
}
