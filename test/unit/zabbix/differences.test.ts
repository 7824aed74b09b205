/** What plans tell of a Zabbix that is not as wanted: pure functions over what its API answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ZabbixHost, ZabbixMedium } from '#gen/hive/v1/steps_repository.ts'
import { severitiesFrom } from '../../../agent/adapters/zabbix/alerts.ts'
import { type FoundHost, hostDifferences, keyDigest } from '../../../agent/adapters/zabbix/hosts.ts'
import { windowFrom } from '../../../agent/adapters/zabbix/maintenance.ts'
import { differingFields, wantedMediaType } from '../../../agent/adapters/zabbix/media-types.ts'
import { tellDifference } from '../../../agent/adapters/zabbix/templates.ts'

const host: ZabbixHost = {
  name: 's-hive0.pdns',
  visibleName: '',
  address: '10.0.0.4',
  port: 10050,
  groups: ['Hives'],
  templates: ['Hive Linux'],
  macros: { '{$A}': '1' },
  pskIdentity: 'hive-a',
  psk: 'ab'.repeat(32),
}
const found: FoundHost = {
  hostid: '1',
  host: 's-hive0.pdns',
  name: 's-hive0.pdns',
  status: '0',
  tls_connect: '2',
  tls_accept: '2',
  groups: [
    { groupid: '1', name: 'Hives' },
    { groupid: '2', name: 'by hand' },
  ],
  parentTemplates: [{ templateid: '1', host: 'Hive Linux' }],
  macros: [
    { macro: '{$A}', value: '1', type: '0', description: '' },
    { macro: '{$HIVE.PSK.DIGEST}', value: keyDigest(host), type: '0', description: '' },
  ],
  interfaces: [{ interfaceid: '1', type: '1', main: '1', ip: '10.0.0.4', port: '10050' }],
}

test('a host that has more than is wanted does not differ', () => assert.deepEqual(hostDifferences(host, found), []))

test('each difference of a host is named, and no key', () => {
  const other = { ...found, groups: [], parentTemplates: [], macros: [], tls_accept: '3', interfaces: [] }
  assert.deepEqual(hostDifferences(host, other), [
    'is not in the group Hives',
    'does not have the template Hive Linux',
    'macro {$A} is not set',
    'is not encrypted by a key',
    'has no address',
  ])
  assert.deepEqual(hostDifferences({ ...host, psk: 'cd'.repeat(32) }, found), ['has another key'])
  assert.deepEqual(hostDifferences({ ...host, address: '10.0.0.9' }, found), ['has the address 10.0.0.4:10050'])
})

test('what Zabbix would import is told by number where it is new and by name where it differs; an order of its own is no difference', () => {
  const difference = {
    templates: {
      added: [{ after: { name: 'New' }, items: { added: [{ after: { name: 'a' } }, { after: { name: 'b' } }] } }],
      updated: [
        {
          before: { name: 'Old', macros: [{ macro: 'A' }, { macro: 'B' }] },
          after: { name: 'Old', macros: [{ macro: 'B' }, { macro: 'A' }] },
          items: { updated: [{ before: { name: 'i', units: 'B' }, after: { name: 'i', units: 's' } }] },
        },
      ],
    },
  }
  assert.equal(tellDifference(difference), '1 template, 2 items to add; item "i" differs in units')
  assert.equal(tellDifference([]), '')
})

const medium: ZabbixMedium = {
  name: 'ops',
  kind: 'slack',
  to: [],
  url: 'https://chat.example/SECRET',
  from: '',
  server: '',
  port: 0,
  security: 'none',
  user: '',
  password: '',
  leastSeverity: 'high',
}

test("a media type's lists are compared whatever their order, and differences never tell a value", () => {
  const wanted = wantedMediaType(medium, 'Hive pdns ops') as unknown as Record<string, unknown>
  const there = { ...wanted, parameters: [...(wanted['parameters'] as unknown[])].reverse() }
  assert.deepEqual(differingFields(wanted, there), [])
  const other = wantedMediaType({ ...medium, url: 'https://chat.example/OTHER' }, 'Hive pdns ops') as unknown as Record<string, unknown>
  assert.deepEqual(differingFields(wanted, other), ['parameters'])
})

test('severities are the bits from the least one on', () => {
  assert.equal(severitiesFrom('high'), 0b110000)
  assert.equal(severitiesFrom('warning'), 0b111100)
})

test('a window begins with its minute and lasts for at least five and one more', () => {
  const { start, end } = windowFrom(new Date('2026-01-01T10:00:42Z'), 10)
  assert.deepEqual([new Date(start * 1000).toISOString(), new Date(end * 1000).toISOString()], ['2026-01-01T10:00:00.000Z', '2026-01-01T10:06:00.000Z'])
})
