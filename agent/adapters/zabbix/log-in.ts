/** Into Zabbix as its administrator, whose password is changed from the one that every new Zabbix has. */
import { HiveError } from '../../../proto/errors.ts'
import { type Access, type Change, ZabbixApi } from './api.ts'

/** Of every new Zabbix. */
const firstUser = 'Admin'
const firstPassword = 'zabbix'

export interface LoggedIn {
  readonly api: ZabbixApi
  /** The password is still everybody's. */
  readonly changes: readonly Change[]
}

/** Throws 'denied' where neither the password given nor the first one is right, else as ZabbixApi does. */
export async function logIn({ port, user, password }: Access, signal: AbortSignal): Promise<LoggedIn> {
  const api = await ZabbixApi.connect(port, signal)
  if (await api.login(user, password)) return { api, changes: [] }
  if (user === firstUser && (await api.login(user, firstPassword)))
    return { api, changes: [{ what: `${user} has the password of every new Zabbix`, apply: () => changePassword(api, user, password) }] }
  throw new HiveError('denied', `Zabbix does not take the password of ${user}`, {
    hint: 'where it was changed by hand, say so: hive_zabbix_admin_password, or the file zabbix_admin_password of the context folder. After five wrong ones Zabbix takes none for half a minute',
  })
}

/** Ends the session, as Zabbix ends all of this user's. */
async function changePassword(api: ZabbixApi, user: string, password: string): Promise<void> {
  const [found] = await api.call<{ userid: string }[]>('user.get', { output: ['userid'], filter: { username: user } })
  if (found === undefined) throw new HiveError('not-found', `Zabbix has no user ${user}`)
  await api.call('user.update', { userid: found.userid, passwd: password, ...(api.atLeast(6, 4) ? { current_passwd: firstPassword } : {}) })
  if (!(await api.login(user, password))) throw new HiveError('not-converged', `Zabbix does not take the new password of ${user}`)
}
