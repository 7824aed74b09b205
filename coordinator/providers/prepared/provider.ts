/** Provider `prepared`: hosts that exist already and answer ssh, by the stage's key or, the first time, by root's password. */
import { HiveError } from '../../../proto/errors.ts'
import { onHost } from '../../bootstrap/ssh.ts'
import { ensureStageKey, identityFileOf } from '../../bootstrap/stage-key.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { allOrErrors } from '../all-or-errors.ts'
import { hostNamed } from '../host-named.ts'
import type { HostPower, Provider, ProviderAction, ProviderContext, SshTarget } from '../provider.ts'
import { createAdminScript } from './create-admin.ts'

const byKey = (site: Site, host: Host): SshTarget => ({
  host: host.name,
  address: host.address,
  port: host.settings.sshdPort,
  user: host.settings.admin,
  identityFile: identityFileOf(site.contextDir),
  password: undefined,
})

const byPassword = (site: Site, host: Host, password: string): SshTarget => ({ ...byKey(site, host), user: 'root', port: host.settings.sshdPort, password })

type LogIn = 'works' | 'first-log-in' | HiveError

/** Only an apply records the keys of hosts that are new. */
async function logIn({ site, signal }: ProviderContext, host: Host, records: boolean): Promise<LogIn> {
  try {
    await onHost(byKey(site, host), 'true', { contextDir: site.contextDir, signal, records, timeout: 20_000 })
    return 'works'
  } catch (error) {
    if (!(error instanceof HiveError)) throw error
    return error.code === 'denied' && host.settings.rootPassword !== undefined ? 'first-log-in' : error
  }
}

const action = (host: Host, logged: Exclude<LogIn, 'works'>): ProviderAction => {
  const { admin } = host.settings
  const base = { host: host.name, disruption: 0 as const, id: `prepared/admin@${host.name}` }
  if (logged === 'first-log-in')
    return {
      ...base,
      title: `Create the admin user ${admin}`,
      reason: `${admin} can't log in with the stage's key yet`,
      before: 'root logs in with a password',
      after: `${admin} logs in with the stage's key`,
    }
  // Nobody but the operator knows whether the machine was made anew.
  const blocked = logged.code === 'conflict' ? { blocked: { hint: logged.hint ?? '' } } : {}
  return { ...base, ...blocked, title: 'Log in by ssh', reason: logged.message, before: 'no log-in', after: `${admin} logs in with the stage's key` }
}

const notOurs = (what: string) => (): Promise<never> =>
  Promise.reject(new HiveError('unsupported', `provider prepared can't ${what} hosts`, { hint: 'they are made and switched by other means' }))

export const preparedProvider: Provider = {
  name: 'prepared',

  async plan(context) {
    const found = await Promise.all(context.site.hosts.map(async (host) => ({ host, logged: await logIn(context, host, false) })))
    return found.flatMap(({ host, logged }) => (logged === 'works' ? [] : [action(host, logged)]))
  },

  async apply(context) {
    const { site, signal, emit } = context
    const key = await ensureStageKey(site.contextDir, site.name)
    await allOrErrors(site.hosts, async (host) => {
      const logged = await logIn(context, host, true)
      if (logged === 'works') return
      if (logged !== 'first-log-in') throw logged
      emit({ code: 'notice', message: `${host.name}: creating the admin user ${host.settings.admin} over root's password` })
      const { admin, adminGroup, adminUid, adminGid, rootPassword = '' } = host.settings
      const script = createAdminScript({ admin, group: adminGroup, uid: adminUid, gid: adminGid, publicKey: key.publicKey })
      await onHost(byPassword(site, host, rootPassword), script, { contextDir: site.contextDir, signal })
      await onHost(byKey(site, host), 'true', { contextDir: site.contextDir, signal })
    })
  },

  async status(context) {
    const found = await Promise.all(
      context.site.hosts.map(async (host): Promise<[string, HostPower]> => {
        const logged = await logIn(context, host, false)
        return [host.name, logged === 'works' || logged === 'first-log-in' || logged.code === 'denied' ? 'running' : 'unknown']
      }),
    )
    return new Map(found)
  },

  halt: notOurs('halt'),
  start: notOurs('start'),
  destroy: notOurs('destroy'),

  sshTarget: (site, name) => byKey(site, hostNamed(site, name)),
}
