/** Windows of planned work in the Zabbix of this host, and the problems that it has open. */
import { MaintenanceServiceService } from '#gen/hive/v1/zabbix.ts'
import { HiveError } from '../../proto/errors.ts'
import { type Access, ZabbixApi } from '../adapters/zabbix/api.ts'
import { checkId, closeWindow, forgetPastWindows, openWindow } from '../adapters/zabbix/maintenance.ts'
import { openProblems } from '../adapters/zabbix/problems.ts'
import { type ServiceRegistration, service } from './service.ts'

export const maintenanceService = (now: () => Date): ServiceRegistration =>
  service(MaintenanceServiceService, {
    openMaintenance: ({ access, id, title, hosts, leaseSeconds }, { signal }) => {
      checkId(id)
      return inZabbix(access, signal, async (api) => {
        await forgetPastWindows(api, now())
        return { hosts: await openWindow(api, { id, title, hosts, leaseSeconds }, now()) }
      })
    },
    closeMaintenance: ({ access, id }, { signal }) => {
      checkId(id)
      return inZabbix(access, signal, async (api) => ({ closed: await closeWindow(api, id) }))
    },
    listProblems: ({ access, hosts }, { signal }) => inZabbix(access, signal, async (api) => ({ problems: await openProblems(api, hosts) })),
  })

/** The first password is never tried here: a window is no reason to let anybody in. */
async function inZabbix<T>(access: Access | undefined, signal: AbortSignal, work: (api: ZabbixApi) => Promise<T>): Promise<T> {
  if (access === undefined) throw new HiveError('invalid-input', 'nothing says how to get into Zabbix')
  const api = await ZabbixApi.connect(access.port, signal)
  if (!(await api.login(access.user, access.password))) throw new HiveError('denied', `Zabbix does not take the password of ${access.user}`)
  try {
    return await work(api)
  } finally {
    await api.logout()
  }
}
