/** Windows of planned work: what a run opens, renews and closes; and open problems; against the real Zabbix. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type {
  CloseMaintenanceRequest,
  CloseMaintenanceResponse,
  ListProblemsRequest,
  ListProblemsResponse,
  OpenMaintenanceRequest,
  OpenMaintenanceResponse,
} from '#gen/hive/v1/zabbix.ts'
import { readOnly, writable } from '../../agent/adapters/gate.ts'
import { maintenanceService } from '../../agent/server/maintenance-service.ts'
import type { HiveEvent } from '../../coordinator/events.ts'
import { MaintenanceWindow } from '../../coordinator/zabbix/maintenance.ts'
import { startZabbix, type Zabbix } from './zabbix.ts'

interface Found {
  readonly name: string
  readonly active_since: string
  readonly active_till: string
  readonly hosts: readonly { readonly host: string }[]
}

for (const version of ['6.0', '7.0'] as const) {
  describe(`planned work with Zabbix ${version}`, () => {
    // Zabbix takes up to a minute to let a host go whose window is gone; these never have one.
    const unplanned = ['p-hive2.pdns', 'p-hive3.pdns'] as const
    let zabbix: Zabbix
    let clock = new Date()
    const handlers = maintenanceService(() => clock).handlers as unknown as {
      openMaintenance(request: OpenMaintenanceRequest, call: { signal: AbortSignal }): Promise<OpenMaintenanceResponse>
      closeMaintenance(request: CloseMaintenanceRequest, call: { signal: AbortSignal }): Promise<CloseMaintenanceResponse>
      listProblems(request: ListProblemsRequest, call: { signal: AbortSignal }): Promise<ListProblemsResponse>
    }
    const signal = AbortSignal.timeout(300_000)
    const access = () => ({ port: Number(new URL(zabbix.apiUrl).port), user: 'Admin', password: 'zabbix' })
    const windows = (): Promise<Found[]> =>
      zabbix.call<Found[]>('maintenance.get', { output: ['name', 'active_since', 'active_till'], selectHosts: ['host'], sortfield: 'name' })
    const openFor = (id: string, hosts: string[], leaseSeconds = 900) =>
      writable(() => handlers.openMaintenance({ access: access(), id, title: 'deploy', hosts, leaseSeconds }, { signal }))
    const close = (id: string) => writable(() => handlers.closeMaintenance({ access: access(), id }, { signal }))

    before(async () => {
      zabbix = await startZabbix({ version })
      for (const host of ['p-hive0.pdns', 'p-hive1.pdns', ...unplanned]) await zabbix.call('host.create', { host, groups: [{ groupid: '2' }] })
    })
    after(() => zabbix.stop())

    it('a window covers the hosts that Zabbix knows, is renewed in place, and goes at its end', async () => {
      clock = new Date()
      assert.deepEqual(await openFor('run-1', ['p-hive0.pdns', 'p-unknown.pdns']), { hosts: 1 })
      const [first] = await windows()
      assert.equal(first?.name, 'hive run-1: deploy')
      assert.ok(Number(first?.active_till) * 1000 >= clock.getTime() + 900_000)

      clock = new Date(clock.getTime() + 300_000)
      assert.deepEqual(await openFor('run-1', ['p-hive0.pdns', 'p-hive1.pdns']), { hosts: 2 })
      const [renewed, ...others] = await windows()
      assert.deepEqual(others, [])
      assert.deepEqual(renewed?.hosts.map(({ host }) => host).sort(), ['p-hive0.pdns', 'p-hive1.pdns'])
      assert.equal(renewed?.active_since, first?.active_since)
      assert.ok(Number(renewed?.active_till) > Number(first?.active_till))

      assert.deepEqual(await close('run-1'), { closed: true })
      assert.deepEqual(await close('run-1'), { closed: false })
      assert.deepEqual(await windows(), [])
    })

    it('without a host that Zabbix knows there is no window', async () => {
      assert.deepEqual(await openFor('run-2', ['p-unknown.pdns']), { hosts: 0 })
      assert.deepEqual(await windows(), [])
    })

    it('the window of a run that died is taken away by the next one once it is over; one of an operator stays', async () => {
      clock = new Date()
      await openFor('run-3', ['p-hive0.pdns'], 300)
      const now = Math.floor(Date.now() / 60_000) * 60
      const [host] = await zabbix.call<{ hostid: string }[]>('host.get', { filter: { host: 'p-hive1.pdns' } })
      await zabbix.call('maintenance.create', {
        name: 'hive by hand',
        active_since: now - 7200,
        active_till: now - 3600,
        hosts: [{ hostid: host?.hostid }],
        timeperiods: [{ timeperiod_type: 0, start_date: now - 7200, period: 3600 }],
      })
      clock = new Date(clock.getTime() + 3_600_000)
      await openFor('run-4', ['p-hive1.pdns'])
      assert.deepEqual(
        (await windows()).map(({ name }) => name),
        ['hive by hand', 'hive run-4: deploy'],
      )
      await close('run-4')
    })

    it('its open problems are told for the hosts that are asked about, the gravest first, and nobody without the password is', async () => {
      const list = (hosts: string[], password = 'zabbix') => readOnly(() => handlers.listProblems({ access: { ...access(), password }, hosts }, { signal }))
      assert.deepEqual(await list(['p-hive2.pdns']), { problems: [] })
      for (const [index, host] of unplanned.entries()) {
        const [found] = await zabbix.call<{ hostid: string }[]>('host.get', { filter: { host } })
        await zabbix.call('item.create', { hostid: found?.hostid, name: 'fill', key_: 'hive.fill', type: 2, value_type: 3 })
        for (const [what, priority] of [
          ['fills', 2],
          ['is full', 4],
        ] as const)
          await zabbix.call('trigger.create', {
            description: `Disk ${index} of {HOST.HOST} ${what}`,
            expression: `last(/${host}/hive.fill)>${priority}`,
            priority,
          })
      }
      await zabbix.sql("update triggers set value=1, lastchange=1764158400 where description like 'Disk %'")
      const { problems } = await list(['p-hive2.pdns', 'p-unknown.pdns'])
      assert.deepEqual(
        problems.map(({ host, name, severity, suppressed, since }) => [host, name, severity, suppressed, since?.toISOString()]),
        [
          ['p-hive2.pdns', 'Disk 0 of p-hive2.pdns is full', 4, false, '2025-11-26T12:00:00.000Z'],
          ['p-hive2.pdns', 'Disk 0 of p-hive2.pdns fills', 2, false, '2025-11-26T12:00:00.000Z'],
        ],
      )
      assert.equal((await list([...unplanned])).problems.length, 4)
      assert.deepEqual(await list(['p-unknown.pdns']), { problems: [] })
      await assert.rejects(list(['p-hive2.pdns'], 'wrong'), { code: 'denied' })
    })

    it('a run opens one before what restarts, and closes it; it goes on where Zabbix is away', async () => {
      clock = new Date()
      const events: HiveEvent[] = []
      const client = {
        maintenance: {
          openMaintenance: (request: OpenMaintenanceRequest) => writable(() => handlers.openMaintenance(request, { signal })),
          closeMaintenance: (request: CloseMaintenanceRequest) => writable(() => handlers.closeMaintenance(request, { signal })),
        },
      }
      const windowOf = (port: number): MaintenanceWindow =>
        new MaintenanceWindow({
          site: {
            hosts: [{ name: 'p-hive1.pdns', isRepository: true }],
            zabbix: { wanted: true, webPort: port, admin: { user: 'Admin', password: 'zabbix' } },
          } as never,
          agents: { enrolled: () => true, client: () => Promise.resolve(client) } as never,
          id: 'run-5',
          title: 'deploy',
          emit: (event) => events.push(event),
        })
      const window = windowOf(access().port)
      await window.cover(['p-hive0.pdns'], signal)
      await window.cover(['p-hive0.pdns', 'p-hive1.pdns'], signal)
      assert.equal((await windows()).find(({ name }) => name.startsWith('hive run-5: '))?.hosts.length, 2)
      await window.close()
      assert.deepEqual(
        (await windows()).filter(({ name }) => name.includes('run-5')),
        [],
      )
      const away = windowOf(1)
      await away.cover(['p-hive0.pdns'], signal)
      await away.close()
      assert.deepEqual(events, [])
    })
  })
}
