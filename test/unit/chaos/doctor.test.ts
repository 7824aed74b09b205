import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Finding, findingKey, wayOut } from '../../chaos/doctor.ts'

const finding = (given: Partial<Finding> = {}): Finding => ({ state: 'disk-detached', volume: 'data', hosts: ['h1'], title: 'something is wrong', ...given })

test('the way out is the repair, else the command that the doctor names, else none', () => {
  assert.deepEqual(wayOut(finding({ repair: {}, command: 'hivecoord start' })), ['doctor', '--repair'])
  assert.deepEqual(wayOut(finding({ command: 'hivecoord host undrain h1' })), ['host', 'undrain', 'h1'])
  for (const command of ['', 'hivecoord', 'rm -rf /']) assert.equal(wayOut(finding({ command })), undefined)
})

test('the same state of another host or volume is another finding', () => {
  const keys = [finding(), finding({ hosts: ['h2'] }), finding({ volume: 'other' }), finding({ state: 'not-up' })].map(findingKey)
  assert.equal(new Set(keys).size, 4)
  assert.equal(findingKey(finding({ title: 'the same in other words' })), keys[0])
})
