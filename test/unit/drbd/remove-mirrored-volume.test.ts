import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { renderResource } from '../../../agent/adapters/drbd/resource-file.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { decideRemoval, type RemovalFacts, volumeGroupIn } from '../../../agent/steps/drbd/decide-removal.ts'

const spec = { name: 'hive', minor: 1 }
const recorded = (path: string) => parseStatus(readFileSync(new URL(`../../fixtures/drbd9/${path}`, import.meta.url), 'utf8'))[0]
const nothing: RemovalFacts = {
  dockerDevice: undefined,
  containers: [],
  services: [],
  resource: undefined,
  holders: [],
  files: [],
  unitEnabled: false,
  unitActive: false,
  volumeGroups: [],
}
const whole: RemovalFacts = { ...nothing, dockerDevice: '/dev/drbd1', files: ['/etc/drbd.d/hive.res'], unitEnabled: true, volumeGroups: ['drbdvg'] }
const why = (facts: RemovalFacts): string => {
  const outcome = decideRemoval(spec, facts)
  return outcome.kind === 'blocked' ? outcome.reason : outcome.kind
}

suite('the removal of a mirrored volume on a host', () => {
  test('says what goes, and that it destroys', () => {
    assert.deepEqual(decideRemoval(spec, whole), {
      kind: 'change',
      reason: 'its data on this host is to be removed',
      before: 'docker volume, /etc/drbd.d/hive.res, drbd-resource@hive.service, logical volume drbdvg/hive',
      after: '',
      disruption: 4,
    })
    assert.equal(why(nothing), 'ok')
    assert.equal(why({ ...nothing, volumeGroups: ['drbdvg'] }), 'change')
  })

  test('waits for whoever uses it, as DRBD and the host tell', () => {
    assert.equal(why({ ...whole, services: ['db'] }), 'is in use: service db mounts it')
    assert.equal(why({ ...whole, containers: ['db.1.x'] }), 'is in use: container db.1.x has it')
    assert.equal(why({ ...whole, holders: [{ kind: 'open', pid: 7, command: 'dd', what: '/dev/drbd1' }] }), 'is in use: dd (pid 7): /dev/drbd1')
    const primary = recorded('07-primary-mounted-autopromote/s-hive0/drbdsetup-status-R.json')
    const peer = recorded('07-primary-mounted-autopromote/s-hive1/drbdsetup-status-R.json')
    assert.equal(why({ ...whole, resource: primary }), 'is in use: this host is its Primary')
    assert.match(why({ ...whole, resource: peer }), /^is in use: s-hive0\S* is its Primary$/)
  })

  test('does not touch what only has the name', () => {
    assert.match(why({ ...whole, dockerDevice: '' }), /not that of \/dev\/drbd1$/)
    assert.match(why({ ...whole, dockerDevice: '/dev/drbd11' }), /not that of \/dev\/drbd1 but of \/dev\/drbd11/)
    const resource = recorded('07-primary-mounted-autopromote/s-hive1/drbdsetup-status-R.json')
    assert.match(decideRemoval({ name: 'hive', minor: 2 }, { ...whole, dockerDevice: undefined, resource }).kind, /blocked/)
  })

  test('is never allowed while anybody is seen to use it', () => {
    const facts = fc.record({
      dockerDevice: fc.constantFrom(undefined, '', '/dev/drbd1', '/dev/drbd2'),
      containers: fc.array(fc.constant('c'), { maxLength: 1 }),
      services: fc.array(fc.constant('s'), { maxLength: 1 }),
      resource: fc.constant(undefined),
      holders: fc.array(fc.constant({ kind: 'mount' as const, pid: 1, command: 'x', what: '/m' }), { maxLength: 1 }),
      files: fc.subarray(['/etc/drbd.d/hive.res']),
      unitEnabled: fc.boolean(),
      unitActive: fc.boolean(),
      volumeGroups: fc.subarray(['a', 'b']),
    })
    fc.assert(
      fc.property(facts, (found) => {
        const used = found.containers.length + found.services.length + found.holders.length > 0
        const foreign = found.dockerDevice !== undefined && found.dockerDevice !== '/dev/drbd1'
        if (used || foreign) assert.equal(decideRemoval(spec, found).kind, 'blocked')
        else assert.notEqual(decideRemoval(spec, found).kind, 'blocked')
      }),
    )
  })
})

test('the volume group is read from resource files, hive-builder’s and ours', () => {
  const node = { name: 'h0', address: '10.0.0.1', nodeId: 0, diskless: false }
  const ours = renderResource({
    name: 'data',
    minor: 1,
    port: 7001,
    volumeGroup: 'fast',
    nodes: [node, { ...node, name: 'h1', nodeId: 1, diskless: true }],
    sharedSecret: 's',
  })
  assert.deepEqual(volumeGroupIn(ours, 'data'), ['fast'])
  assert.deepEqual(volumeGroupIn('resource data {\n  on h0 {\n    disk      /dev/drbdvg/data;\n  }\n  on h1 {\n    disk none;\n  }\n}\n', 'data'), ['drbdvg'])
  assert.deepEqual(volumeGroupIn('  disk /dev/drbdvg/other;\n  disk /dev/vda;\n', 'data'), [])
})
