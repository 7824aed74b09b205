import assert from 'node:assert/strict'
import test from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { followed } from '../../../cli/commands/status.ts'

test('status tells virtual addresses by their host, and a label that all managers find wrong once', () => {
  const bad = { service: 'wrong', label: 'HIVE_VIP', message: "'x' is no IPv4 address" }
  const held = { address: '10.0.0.50', prefixLength: 24, interface: 'eth0', services: ['door', 'web'], router: '' }
  const lines = followed([
    { name: 'p-hive0.pdns', follower: { addresses: [], problems: [bad] } },
    { name: 'p-hive1.pdns', follower: { addresses: [held], problems: [bad, { service: '', label: '', message: 'ip can’t be run' }] } },
    { name: 'p-hive2.pdns', follower: undefined },
  ])
  assert.deepEqual(lines.map(stripVTControlCharacters), [
    '10.0.0.50 is on p-hive1 (eth0) for door, web',
    "wrong: HIVE_VIP: 'x' is no IPv4 address",
    'p-hive1: ip can’t be run',
  ])
})
