import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { efsAddress, rememberEfs } from '../../../coordinator/providers/aws/efs-address.ts'
import {
  creationToken,
  type EfsFound,
  type EfsWant,
  efsEncryption,
  efsRemarks,
  groupsOf,
  ownership,
  planEfs,
  subnetsByZone,
  targetIn,
  wantedTags,
} from '../../../coordinator/providers/aws/efs-plan.ts'
import { untilAnswer } from '../../../coordinator/providers/aws/efs-wait.ts'
import { facts, site } from '../phases/sample-site.ts'

const want: EfsWant = {
  site: 'pdns',
  stage: 'staging',
  name: 'efs-pdns',
  tags: {},
  ...efsEncryption(undefined),
  subnets: [
    { name: 'subnet1', zone: 'a', id: 'subnet-1' },
    { name: 'subnet2', zone: 'b', id: 'subnet-2' },
    { name: 'subnet3', zone: 'a', id: 'subnet-3' },
  ],
  securityGroupId: 'sg-1',
}

/** What applying the plan comes to. */
function applied(asked: EfsWant, found: EfsFound | undefined): EfsFound {
  const there = found === undefined || found.lifeCycle.startsWith('delet') ? undefined : found
  const group = asked.securityGroupId ?? ''
  const others = there?.targets.filter((target) => !subnetsByZone(asked).some(({ zone }) => targetIn(there, zone) === target)) ?? []
  return {
    fileSystemId: there?.fileSystemId ?? 'fs-new',
    lifeCycle: 'available',
    encrypted: there?.encrypted ?? asked.encrypted,
    kmsKeyId: undefined,
    tags: { ...there?.tags, ...wantedTags(asked) },
    targets: [
      ...others,
      ...subnetsByZone(asked).map(({ zone, id = '' }) => {
        const target = targetIn(there, zone)
        return target === undefined
          ? { id: `new-${zone}`, zone, subnetId: id, lifeCycle: 'available', securityGroups: [group] }
          : { ...target, lifeCycle: 'available', securityGroups: groupsOf(target, group) }
      }),
    ],
  }
}

const ids = (found: EfsFound | undefined, asked = want): readonly string[] => planEfs(asked, found).map(({ id }) => id)

suite('the plan of a file system', () => {
  test('of nothing is the file system and one mount target in each zone, in its first subnet', () => {
    const actions = planEfs(want, undefined)
    assert.deepEqual(
      actions.map(({ id, after }) => [id, after]),
      [
        ['efs/file-system', "encrypted with the account's key for EFS"],
        ['efs/target-a', 'subnet subnet1'],
        ['efs/target-b', 'subnet subnet2'],
      ],
    )
  })

  test('needs no subnet or group to exist', () => {
    const early = { ...want, subnets: want.subnets.map((subnet) => ({ ...subnet, id: undefined })), securityGroupId: undefined }
    assert.deepEqual(ids(undefined, early), ids(undefined))
  })

  test('is made anew while the former one is being deleted', () => {
    assert.deepEqual(ids({ ...applied(want, undefined), lifeCycle: 'deleting' }), ['efs/file-system', 'efs/target-a', 'efs/target-b'])
  })

  test('names missing tags, missing mount targets and missing groups', () => {
    const found = applied(want, undefined)
    assert.deepEqual(ids({ ...found, tags: { Project: 'pdns' } }), ['efs/tags'])
    assert.deepEqual(ids({ ...found, targets: found.targets.slice(1) }), ['efs/target-a'])
    const [first, ...rest] = found.targets
    assert.ok(first)
    const [action] = planEfs(want, { ...found, targets: [{ ...first, securityGroups: ['sg-9'] }, ...rest] })
    assert.deepEqual([action?.id, action?.before, action?.after], ['efs/target-groups-a', 'sg-9', 'sg-1, sg-9'])
  })

  test('refuses one that AWS calls broken', () => {
    assert.throws(() => planEfs(want, { ...applied(want, undefined), lifeCycle: 'error' }), { code: 'conflict' })
  })

  test('of what apply made is empty, whatever was there before', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    const text = fc.string({ maxLength: 5 })
    const tags = fc.dictionary(fc.constantFrom('Project', 'Name', 'hive:stage', 'other'), text)
    const state = fc.constantFrom('creating', 'available', 'updating', 'deleting')
    const target = fc.record({
      id: text,
      zone: name,
      subnetId: text,
      lifeCycle: state,
      securityGroups: fc.uniqueArray(fc.constantFrom('sg-1', 'sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-6'), { maxLength: 5 }),
    })
    const found = fc.record({
      fileSystemId: text,
      lifeCycle: state,
      encrypted: fc.boolean(),
      kmsKeyId: fc.constant(undefined),
      tags,
      targets: fc.uniqueArray(target, { selector: ({ zone, lifeCycle }) => `${zone} ${lifeCycle === 'deleting'}` }),
    })
    const subnets = fc.array(fc.record({ name: text, zone: name, id: text }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(fc.option(found, { nil: undefined }), subnets, (before, chosen) => {
        const asked = { ...want, subnets: chosen }
        const after = applied(asked, before)
        assert.deepEqual(ids(after, asked), [])
        assert.ok(after.targets.every(({ securityGroups }) => securityGroups.length <= 5))
        if (before !== undefined && ids(before, asked).length === 0) assert.deepEqual(after.tags, before.tags)
      }),
    )
  })

  test('tells of one that is not encrypted and leaves it', () => {
    const found = { ...applied(want, undefined), encrypted: false }
    assert.deepEqual(ids(found), [])
    assert.equal(efsRemarks(want, found).length, 1)
  })
})

suite('whose a file system is', () => {
  const candidate = { fileSystemId: 'fs-1', creationToken: 'x', tags: {} }
  test("the stage's by token, also before it has tags, and by tags, also with another token", () => {
    assert.equal(ownership({ ...candidate, creationToken: creationToken(want) }, want), 'own')
    assert.equal(ownership({ ...candidate, tags: { Project: 'pdns', 'hive:stage': 'staging' } }, want), 'own')
  })
  test("perhaps the stage's by hive-builder's tags", () => {
    const tags = { Name: 'efs-pdns', Project: 'pdns' }
    assert.equal(ownership({ ...candidate, tags }, want), 'hive-builder')
    assert.equal(ownership({ ...candidate, tags: { Name: 'efs-pdns' } }, want), 'other')
  })
  test("another's where its tags name another stage or site", () => {
    const tags = { Name: 'efs-pdns', Project: 'pdns', 'hive:stage': 'production' }
    assert.equal(ownership({ ...candidate, tags }, want), 'other')
    assert.notEqual(creationToken(want), creationToken({ site: 'pdns', stage: 'production' }))
    assert.notEqual(creationToken({ site: 'a', stage: 'bc' }), creationToken({ site: 'ab', stage: 'c' }))
    assert.ok(creationToken({ site: 'x'.repeat(200), stage: 'production' }).length <= 64)
  })
})

test('the address lasts in the state, is written only when it changes, and can be forgotten', () => {
  const { state } = facts(site(), {})
  let writes = 0
  const counting = {
    get: state.get,
    set: (key: string, value: unknown): void => {
      writes++
      state.set(key, value)
    },
  }
  const address = { fileSystemId: 'fs-1', dnsName: 'fs-1.efs.x.amazonaws.com' }
  assert.equal(efsAddress(counting), undefined)
  rememberEfs(counting, undefined)
  rememberEfs(counting, address)
  rememberEfs(counting, { ...address })
  assert.deepEqual(efsAddress(counting), address)
  rememberEfs(counting, undefined)
  assert.equal(efsAddress(counting), undefined)
  assert.equal(writes, 2)
})

suite('waiting', () => {
  const clockOf = () => {
    const slept: number[] = []
    let now = 0
    const pause = async (milliseconds: number): Promise<void> => {
      slept.push(milliseconds)
      now += milliseconds
    }
    return { slept, clock: { now: () => now, date: () => now, pause, random: () => 0.5 } }
  }
  const { signal } = new AbortController()

  test('asks less and less often, and no longer than it may', async () => {
    const { slept, clock } = clockOf()
    await assert.rejects(
      untilAnswer('x', async () => undefined, { seconds: 60, signal, clock }),
      { code: 'timeout' },
    )
    assert.deepEqual(slept.slice(0, 3).map(Math.round), [750, 1200, 1920])
    assert.ok(slept.every((pause) => pause <= 10_000))
    assert.ok(slept.reduce((sum, pause) => sum + pause, 0) <= 60_000)
  })

  test('ends when it is cancelled', async () => {
    await assert.rejects(
      untilAnswer('x', async () => undefined, { seconds: 60, signal: AbortSignal.abort(), clock: clockOf().clock }),
      { code: 'cancelled' },
    )
  })
})
