/** Zabbix on this host holds what the site wants watched, by whom it is told, and lets nobody in with the first password. */
import type { EnsureZabbix } from '#gen/hive/v1/steps_repository.ts'
import { HiveError } from '../../proto/errors.ts'
import { waitFor } from '../adapters/docker/wait.ts'
import { differingAlerts } from '../adapters/zabbix/alerts.ts'
import type { Change, ZabbixApi } from '../adapters/zabbix/api.ts'
import { missingGroups } from '../adapters/zabbix/groups.ts'
import { differingHosts, unwantedHosts } from '../adapters/zabbix/hosts.ts'
import { type LoggedIn, logIn } from '../adapters/zabbix/log-in.ts'
import { differingTemplates } from '../adapters/zabbix/templates.ts'
import { blocked, type CheckOutcome, change, type Executor, ok } from './executor.ts'

/** A new Zabbix makes its database first. */
const firstAnswer = 300_000

type Stage = (api: ZabbixApi, spec: EnsureZabbix) => Promise<readonly Change[]>

/** In order: each refers to what those before it make. */
const stages: readonly Stage[] = [
  (api, { hostGroups }) => missingGroups(api, hostGroups),
  (api, { templates }) => differingTemplates(api, templates.toString('utf8')),
  (api, { hosts }) => differingHosts(api, hosts),
  (api, { switchedOff }) => unwantedHosts(api, switchedOff),
  (api, spec) => differingAlerts(api, spec),
]

export const ensureZabbix: Executor<EnsureZabbix> = {
  exclusive: () => 'zabbix',

  async check(spec, { signal }) {
    let loggedIn: LoggedIn
    try {
      loggedIn = await logIn(accessOf(spec), signal)
    } catch (error) {
      if (!(error instanceof HiveError)) throw error
      if (notYet(error)) return change('Zabbix does not answer yet', '', describe(spec))
      if (error.code === 'denied' || error.code === 'unsupported') return blocked(error.message, error.hint)
      throw error
    }
    const { api, changes } = loggedIn
    const found = [...changes]
    try {
      for (const stage of stages) found.push(...(await stage(api, spec)))
    } finally {
      await api.logout()
    }
    return found.length === 0 ? ok : told(found)
  },

  async apply(spec, context) {
    const { signal } = context
    const carryOut = async (changes: readonly Change[]): Promise<void> => {
      for (const { what, apply } of changes) {
        context.log(what)
        await apply()
      }
    }
    const { api, changes } = await firstLogIn(spec, signal)
    try {
      await carryOut(changes)
      for (const stage of stages) {
        // What a stage makes may uncover more of it.
        for (let turn = 0; turn < 5; turn++) {
          const found = await stage(api, spec)
          if (found.length === 0) break
          await carryOut(found)
        }
      }
    } finally {
      await api.logout()
    }
  },
}

/** Before its database is whole, the web UI answers with errors of its own. */
const notYet = ({ code }: HiveError): boolean => code === 'unreachable' || code === 'timeout' || code === 'command-failed'

function accessOf({ access }: EnsureZabbix) {
  if (access === undefined) throw new HiveError('invalid-input', 'nothing says how to get into Zabbix')
  return access
}

const firstLogIn = (spec: EnsureZabbix, signal: AbortSignal): Promise<LoggedIn> =>
  waitFor(
    "Zabbix' web UI to answer",
    () =>
      logIn(accessOf(spec), signal).catch((error: unknown) => {
        if (error instanceof HiveError && notYet(error)) return undefined
        throw error
      }),
    { signal, timeout: firstAnswer, every: 1000 },
  )

/** How many differences a plan names. */
const shown = 12

function told(found: readonly Change[]): CheckOutcome {
  const lines = found.map(({ what }) => what)
  const rest = lines.length > shown ? [`and ${lines.length - shown} more`] : []
  return change(`${found.length === 1 ? 'one thing differs' : `${found.length} things differ`}`, [...lines.slice(0, shown), ...rest].join('\n'), '')
}

const describe = ({ hosts }: EnsureZabbix): string => `${hosts.length} hosts, and their templates`
