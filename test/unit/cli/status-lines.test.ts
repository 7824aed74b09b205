import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { ZabbixProblem } from '#gen/hive/v1/zabbix.ts'
import { toProblem } from '../../../agent/adapters/zabbix/problems.ts'
import { alertLines, driftLine } from '../../../cli/commands/status.ts'

const now = new Date('2026-11-26T12:00:00Z')
const plain = (lines: readonly string[]): readonly string[] => lines.map(stripVTControlCharacters)
const problem = (name: string, severity: number, given: Partial<ZabbixProblem> = {}): ZabbixProblem => ({
  host: 'p-hive0.site',
  name,
  severity,
  since: now,
  acknowledged: false,
  suppressed: false,
  ...given,
})

test('status tells open alerts from warnings on, how many planned work keeps back, and that Zabbix is away', () => {
  assert.deepEqual(alertLines({ alerts: undefined, alertsError: undefined }), [])
  assert.deepEqual(plain(alertLines({ alerts: [problem('i', 1)], alertsError: undefined })), ['', 'no alerts'])
  assert.match(plain(alertLines({ alerts: undefined, alertsError: 'no answer within 5 s' })).join('\n'), /not known: Zabbix: no answer within 5 s/)
  const lines = plain(alertLines({ alerts: [problem('disk', 4), problem('load', 2), problem('reboot', 3, { suppressed: true })], alertsError: undefined }))
  assert.equal(lines[1], '2 alerts, 1 kept back by planned work')
  assert.match(lines[2] ?? '', /^high +p-hive0 +disk, .*\nwarning +p-hive0 +load, /)
  const many = alertLines({ alerts: Array.from({ length: 14 }, (_, i) => problem(`p${i}`, 3)), alertsError: undefined })
  assert.match(many.at(-1) ?? '', /^… and 4 more/)
})

test('status tells the last drift with its age, without looking anew', () => {
  const of = (given: object): string =>
    stripVTControlCharacters(driftLine({ at: '2026-11-26T09:00:00Z', differences: 0, strangers: 0, unknown: 0, unreachable: 0, ...given }, now))
  assert.equal(of({}), 'drift: none, 3 h ago')
  assert.equal(of({ differences: 1, strangers: 2, at: '2026-11-26T11:59:20Z' }), 'drift: 1 difference, 2 not in the inventory, 40 s ago')
  assert.equal(of({ unreachable: 1, at: '2026-11-20T12:00:00Z' }), 'drift: not all could be compared, 6 d ago')
  assert.match(stripVTControlCharacters(driftLine(undefined, now)), /never looked for/)
})

test("Zabbix' triggers are problems, called as their event was", () => {
  const trigger = { description: 'disk {ITEM}', priority: '4', lastchange: '1764158400' }
  assert.deepEqual(toProblem({ ...trigger, hosts: [{ host: 'h', maintenance_status: '1' }], lastEvent: { acknowledged: '1', name: 'disk is full: 97 %' } }), {
    host: 'h',
    name: 'disk is full: 97 %',
    severity: 4,
    since: new Date('2025-11-26T12:00:00Z'),
    acknowledged: true,
    suppressed: true,
  })
  assert.partialDeepStrictEqual(toProblem({ ...trigger, lastEvent: [] }), { host: '', name: 'disk {ITEM}', acknowledged: false, suppressed: false })
})
