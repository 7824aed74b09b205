import type { EnsureUsers, UserSpec } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { compareGroup, compareUser, ensureGroup, ensureUser, type WantedGroup, type WantedUser } from '../adapters/users.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

export const ensureUsers: Executor<EnsureUsers> = {
  // Packages make users too, and the tools for it give up on a lock that another one holds.
  exclusive: () => 'packages',

  async check(spec) {
    const findings = await compare(spec)
    const conflicts = findings.filter((finding) => finding.kind === 'conflict')
    if (conflicts.length > 0)
      return blocked(
        conflicts.map((finding) => finding.text).join('; '),
        'change the number in the inventory, or the account on the host together with its files',
      )
    if (findings.length === 0) return ok
    const names = [...spec.groups.map((group) => `group ${group.name}`), ...spec.users.map((user) => user.name)]
    return change(findings.map((finding) => finding.text).join('; '), '', names.join(', '))
  },

  async apply(spec, context) {
    const conflicts = (await compare(spec)).filter((finding) => finding.kind === 'conflict')
    if (conflicts.length > 0) throw new HiveError('conflict', conflicts.map((finding) => finding.text).join('; '))
    for (const group of numbersFirst(groupsOf(spec), (one) => one.gid)) await ensureGroup(group, context.signal)
    for (const user of numbersFirst(spec.users.map(userOf), (one) => one.uid)) await ensureUser(user, context.signal)
  },
}

/** Those with a number of their own first, before the host gives that number to one of the others. */
const numbersFirst = <T>(all: readonly T[], numberOf: (one: T) => number | undefined): T[] => [
  ...all.filter((one) => numberOf(one) !== undefined),
  ...all.filter((one) => numberOf(one) === undefined),
]

async function compare(spec: EnsureUsers) {
  const groups = await Promise.all(groupsOf(spec).map(compareGroup))
  const users = await Promise.all(spec.users.map((user) => compareUser(userOf(user))))
  return [...groups, ...users].flat()
}

const userOf = (user: UserSpec): WantedUser => ({
  name: user.name,
  uid: user.uid,
  group: user.group === '' ? user.name : user.group,
  home: user.home,
  shell: user.shell,
  keys: user.authorizedKeys,
  sudo: user.sudo,
  groups: user.groups,
})

/** The groups asked for, and the primary groups of users that are not among them. */
function groupsOf(spec: EnsureUsers): WantedGroup[] {
  const groups = new Map<string, WantedGroup>()
  for (const group of spec.groups) groups.set(group.name, { name: group.name, gid: group.gid, sudo: group.sudo, system: group.system })
  for (const user of spec.users) {
    const name = user.group === '' ? user.name : user.group
    const listed = groups.get(name)
    groups.set(name, { name, gid: user.gid ?? listed?.gid, sudo: listed?.sudo ?? false })
  }
  return [...groups.values()]
}
