/** Who is told of what: a user of its own for each site, without a way in, who has the site's media; and the action that tells that user. */
import { randomBytes } from 'node:crypto'
import type { EnsureZabbix, ZabbixMedium } from '#gen/hive/v1/steps_repository.ts'
import type { Change, ZabbixApi } from './api.ts'
import { groupIds } from './groups.ts'
import { differingMediaTypes } from './media-types.ts'

type Alerted = Pick<EnsureZabbix, 'site' | 'media' | 'hostGroups'>

/** In the order of Zabbix' numbers for severities. */
const severities = ['not classified', 'info', 'warning', 'average', 'high', 'disaster']

/** The bits of this severity and all above. Pure. */
export function severitiesFrom(least: string): number {
  const first = Math.max(severities.indexOf(least), 0)
  return severities.reduce((bits, _, index) => (index >= first ? bits | (1 << index) : bits), 0)
}

/** Media that the site no longer has are switched off with the user's; types and history stay. */
export async function differingAlerts(api: ZabbixApi, { site, media, hostGroups }: Alerted): Promise<readonly Change[]> {
  const mine = `Hive ${site}`
  const [found] = await api.call<{ usrgrpid: string }[]>('usergroup.get', { output: ['usrgrpid'], filter: { name: mine } })
  if (media.length === 0 && found === undefined) return []
  const named = media.map((medium) => ({ medium, name: `${mine} ${medium.name}` }))
  const types = await differingMediaTypes(api, named)
  if (types.changes.length > 0) return types.changes
  const rights = await differingUserGroup(api, mine, hostGroups.at(-1) ?? '')
  if (rights.length > 0) return rights
  const user = await differingUser(api, { site, name: mine, named, ids: types.ids })
  if (user.length > 0) return user
  return differingAction(api, mine, site, hostGroups.at(-1) ?? '', media.length > 0)
}

const readOnly = 2
/** No way into the web UI. */
const noEntry = 3

/** The user may see the hosts of the site's own group, which is what Zabbix asks of whom it tells of their problems. */
async function differingUserGroup(api: ZabbixApi, name: string, hostGroup: string): Promise<readonly Change[]> {
  const field = api.atLeast(6, 2) ? 'hostgroup_rights' : 'rights'
  const select = api.atLeast(6, 2) ? 'selectHostGroupRights' : 'selectRights'
  const [found] = await api.call<Record<string, unknown>[]>('usergroup.get', { output: ['usrgrpid', 'gui_access'], [select]: 'extend', filter: { name } })
  const id = (await groupIds(api, [hostGroup])).get(hostGroup)
  const right = { id, permission: readOnly }
  if (found === undefined)
    return [{ what: `user group ${name} is missing`, apply: () => api.call('usergroup.create', { name, gui_access: noEntry, [field]: [right] }) }]
  const rights = (found[field] ?? []) as { id: string; permission: string }[]
  if (rights.some((one) => one.id === id && Number(one.permission) >= readOnly)) return []
  const others = rights.filter((one) => one.id !== id).map((one) => ({ id: one.id, permission: Number(one.permission) }))
  return [
    {
      what: `user group ${name} may not see ${hostGroup}`,
      apply: () => api.call('usergroup.update', { usrgrpid: found['usrgrpid'], [field]: [...others, right] }),
    },
  ]
}

interface Alertee {
  readonly site: string
  readonly name: string
  readonly named: readonly { readonly medium: ZabbixMedium; readonly name: string }[]
  readonly ids: ReadonlyMap<string, string>
}

interface UserMedium {
  readonly mediatypeid: string
  readonly sendto: string | readonly string[]
  readonly active: string
  readonly severity: string
  readonly period: string
}

/** Media types that the site made itself; what an operator gave this user by hand stays. */
async function differingUser(api: ZabbixApi, { site, name, named, ids }: Alertee): Promise<readonly Change[]> {
  const username = `hive-alerts-${site}`
  const wanted = named.map(({ medium, name: type }) => ({
    mediatypeid: ids.get(type) ?? '',
    sendto: medium.kind === 'mail' ? [...medium.to] : medium.name,
    active: 0,
    severity: severitiesFrom(medium.leastSeverity),
    period: '1-7,00:00-24:00',
  }))
  const [group] = await api.call<{ usrgrpid: string }[]>('usergroup.get', { output: ['usrgrpid'], filter: { name } })
  const [found] = await api.call<{ userid: string; medias: UserMedium[] }[]>('user.get', {
    output: ['userid'],
    selectMedias: ['mediatypeid', 'sendto', 'active', 'severity', 'period'],
    filter: { username },
  })
  if (found === undefined) {
    const roles = await api.call<{ roleid: string }[]>('role.get', { output: ['roleid'], filter: { type: 1 }, sortfield: 'roleid', limit: 1 })
    // Nobody knows this password, and the group has no way in.
    const passwd = `${randomBytes(24).toString('base64url')}aA1!`
    const user = { username, roleid: roles[0]?.roleid, passwd, usrgrps: [{ usrgrpid: group?.usrgrpid }], medias: wanted }
    return [{ what: `user ${username} is missing`, apply: () => api.call('user.create', user) }]
  }
  const ours = await api.call<{ mediatypeid: string; name: string }[]>('mediatype.get', {
    output: ['mediatypeid', 'name'],
    search: { name: `${name} ` },
    startSearch: true,
  })
  const isOurs = ({ mediatypeid }: Pick<UserMedium, 'mediatypeid'>): boolean => ours.some((type) => type.mediatypeid === mediatypeid)
  const key = (medium: { mediatypeid: string; sendto: unknown; active: unknown; severity: unknown; period: string }): string =>
    JSON.stringify([medium.mediatypeid, medium.sendto, String(medium.active), String(medium.severity), medium.period])
  const before = found.medias.filter(isOurs).map(key).sort()
  if (JSON.stringify(before) === JSON.stringify(wanted.map(key).sort())) return []
  const others = found.medias
    .filter((medium) => !isOurs(medium))
    .map(({ mediatypeid, sendto, active, severity, period }) => ({ mediatypeid, sendto, active: Number(active), severity: Number(severity), period }))
  return [{ what: `user ${username} has other media`, apply: () => api.call('user.update', { userid: found.userid, medias: [...others, ...wanted] }) }]
}

interface FoundAction {
  readonly actionid: string
  readonly status: string
}

/** Only whether it is there, and whether it is on where there is somebody to tell: how it tells is the operator's to change. */
async function differingAction(api: ZabbixApi, name: string, site: string, hostGroup: string, on: boolean): Promise<readonly Change[]> {
  const [found] = await api.call<FoundAction[]>('action.get', { output: ['actionid', 'status'], filter: { name } })
  if (found !== undefined) {
    if ((found.status === '0') === on) return []
    return [
      { what: `action ${name} is switched ${on ? 'off' : 'on'}`, apply: () => api.call('action.update', { actionid: found.actionid, status: on ? 0 : 1 }) },
    ]
  }
  if (!on) return []
  const create = async (): Promise<void> => {
    const [user] = await api.call<{ userid: string }[]>('user.get', { output: ['userid'], filter: { username: `hive-alerts-${site}` } })
    const groupid = (await groupIds(api, [hostGroup])).get(hostGroup)
    await api.call('action.create', {
      name,
      eventsource: 0,
      status: 0,
      esc_period: '1h',
      // Nothing is told during planned work.
      pause_suppressed: 1,
      filter: { evaltype: 0, conditions: [{ conditiontype: 0, operator: 0, value: groupid }] },
      operations: [{ operationtype: 0, opmessage: { default_msg: 1, mediatypeid: '0' }, opmessage_usr: [{ userid: user?.userid }] }],
      recovery_operations: [{ operationtype: 11, opmessage: { default_msg: 1 } }],
    })
  }
  return [{ what: `action ${name} is missing`, apply: create }]
}
