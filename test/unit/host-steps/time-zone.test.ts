import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zoneOfLink } from '../../../agent/adapters/time-zone.ts'

test('the zone behind /etc/localtime', () => {
  assert.equal(zoneOfLink('/usr/share/zoneinfo/Asia/Tokyo'), 'Asia/Tokyo')
  assert.equal(zoneOfLink('../usr/share/zoneinfo/Etc/GMT+9'), 'Etc/GMT+9')
  assert.equal(zoneOfLink('/usr/share/zoneinfo/UTC'), 'UTC')
  assert.equal(zoneOfLink('/etc/some-file'), undefined)
})
