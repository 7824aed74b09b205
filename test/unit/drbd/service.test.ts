import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  type DrbdChange,
  type DrbdHostView,
  type DrbdOperation,
  type DrbdOperationResponse,
  DrbdServiceClient,
  type ListDrbdResponse,
} from '#gen/hive/v1/drbd.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import type { HiveError } from '../../../proto/errors.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { ask, type Bed, bed } from '../agent-core/agent-bed.ts'
import { type FakeDrbd, fakeDrbd } from './support/fake-drbdsetup.ts'

let site: Bed
let drbd: FakeDrbd
let admin: DrbdServiceClient
let operator: DrbdServiceClient
before(async () => {
  drbd = await fakeDrbd(['hive0', 'hive1', 'hive2'], 'web')
  site = await bed()
  admin = site.connect(DrbdServiceClient, await site.ca.issue('hive:admin', 'me'))
  operator = site.connect(DrbdServiceClient, await site.ca.issue('hive:operator', 'op'))
})
after(async () => {
  await site.close()
  await drbd.close()
})

const web = (more: Partial<DrbdOperation> = {}): DrbdOperation => ({ name: 'web', confirm: '', preview: false, others: [], ...more })
const othersNow = (): DrbdHostView[] =>
  ['hive1', 'hive2'].map((host) => ({ host: `${host}.example.site`, status: parseStatus(drbd.run(host, 'status', 'web', '--json'))[0] }))
const failure = (call: Promise<unknown>): Promise<HiveError> => call.then(() => assert.fail('it was done'), fromServiceError)
const link = (peer: number): string | undefined =>
  parseStatus(drbd.run('hive0', 'status', 'web', '--json'))[0]?.connections.find(({ peerNodeId }) => peerNodeId === peer)?.state

describe('DrbdService on a fake DRBD', () => {
  it('lists what is there', async () => {
    const { resources } = await ask<ListDrbdResponse>((...rest) => operator.list({}, ...rest))
    assert.deepEqual(
      resources.map(({ name, role, devices }) => [name, role, devices[0]?.diskState]),
      [['web', 'Secondary', 'UpToDate']],
    )
  })

  it('does without a name what all hosts together show to be safe, and what one alone cannot show only with it', async () => {
    const disconnect = (more: Partial<DrbdOperation>) => ask<DrbdOperationResponse>((...rest) => operator.disconnect({ ...web(more), peer: 'hive1' }, ...rest))
    // hive2 is Primary, and this host does not know whom it sees.
    drbd.run('hive2', 'primary', 'web')
    const down = (more: Partial<DrbdOperation>) => ask<DrbdOperationResponse>((...rest) => operator.down(web(more), ...rest))
    const alone = await failure(down({}))
    assert.equal(alone.code, 'blocked')
    assert.match(alone.message, /not heard/)
    assert.match(alone.hint ?? '', /"confirm": "web"/)
    const told = await down({ preview: true, others: othersNow() })
    assert.deepEqual([told.changed, told.effect?.verdict, told.doubts], [false, 'safe', []])
    assert.equal(link(1), 'Connected')
    const done = await disconnect({ others: othersNow() })
    assert.deepEqual([done.changed, done.reason], [true, 'hive1 is StandAlone'])
    assert.equal((await disconnect({ others: othersNow() })).changed, false)
    drbd.run('hive2', 'secondary', 'web')
  })

  it('connects again, and tells it to who watches', async () => {
    const watching = operator.watch({ name: 'web' }, { deadline: Date.now() + 20_000 })
    const seen: DrbdChange[] = []
    for await (const change of watching as AsyncIterable<DrbdChange>) {
      seen.push(change)
      if (seen.length === 1) {
        const { reason } = await ask<DrbdOperationResponse>((...rest) => operator.connect({ ...web(), peer: 'hive1' }, ...rest))
        assert.equal(reason, 'hive1 is Connected')
      }
      if (change.changes.some(({ key, after: now }) => key === 'connection' && now === 'Connected') && change.verb === 'change') break
    }
    assert.equal(link(1), 'Connected')
    assert.ok(seen.some(({ peer, changes }) => peer === 'hive1.example.site' && changes.some((one) => one.before === 'StandAlone')))
  })

  it('throws nothing away without the name, without a snapshot, or for an operator', async () => {
    const invalidate = (as: DrbdServiceClient, more: Partial<DrbdOperation>, withoutSnapshot = false) =>
      ask<DrbdOperationResponse>((...rest) => as.invalidate({ ...web({ others: othersNow(), ...more }), withoutSnapshot }, ...rest))
    assert.equal((await failure(invalidate(operator, { confirm: 'web' }))).code, 'denied')
    assert.match((await failure(invalidate(admin, {}))).message, /the copy of web on this host is thrown away/)
    assert.match((await failure(invalidate(admin, { confirm: 'web' }))).message, /no logical volume web/)
    assert.equal(parseStatus(drbd.run('hive0', 'status', 'web', '--json'))[0]?.devices[0]?.diskState, 'UpToDate')
    const done = await invalidate(admin, { confirm: 'web' }, true)
    assert.equal(done.changed, true)
    assert.ok(site.logged.some((line) => line['verb'] === 'invalidate' && line['resource'] === 'web'))
  })

  it('forces a role for administrators only', async () => {
    const force = (as: DrbdServiceClient) => ask<DrbdOperationResponse>((...rest) => as.primary({ ...web({ others: othersNow() }), force: true }, ...rest))
    assert.match((await failure(force(operator))).message, /needs the role hive:admin/)
    assert.equal((await failure(force(admin))).code, 'blocked')
  })

  it('refuses names that are none', async () => {
    for (const name of ['--help', 'all', '', 'a b'])
      assert.equal((await failure(ask((...rest) => operator.down(web({ name }), ...rest)))).code, 'invalid-input')
  })
})
