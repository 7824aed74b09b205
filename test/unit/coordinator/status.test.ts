import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service } from '../../../coordinator/inventory/site.ts'
import { strangers } from '../../../coordinator/run/status.ts'

test('services that the inventory no longer has are named in the status', () => {
  const site = { stage: 'private' as const, services: [{ name: 'web' } as Service] }
  assert.deepEqual(strangers(site, [{ name: 'web' }]), [])
  assert.deepEqual(strangers(site, [{ name: 'old' }, { name: 'web' }, { name: 'api' }]), ['in the swarm, but not in the inventory of stage private: api, old'])
})
