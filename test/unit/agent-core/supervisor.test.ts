import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SupervisorServiceClient, type SupervisorStatus } from '#gen/hive/v1/supervisor.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { ask, type Bed, bed } from './agent-bed.ts'

let site: Bed
before(async () => {
  site = await bed()
})
after(() => site.close())

const as = async (role: string, name: string): Promise<SupervisorServiceClient> => site.connect(SupervisorServiceClient, await site.ca.issue(role, name))

test('an operator holds the supervisor under the name of the certificate, readers see it, and a restart does not forget it', async () => {
  const operator = await as('hive:operator', 'ann')
  const held = await ask<SupervisorStatus>((...rest) => operator.hold({ reason: 'disks are moved', seconds: 3600 }, ...rest))
  assert.deepEqual([held.hold?.by, held.hold?.reason], ['ann', 'disks are moved'])
  assert.ok(site.logged.some((line) => line['audit'] === true && line['rpc'] === 'hive.v1.SupervisorService/Hold'))

  const again = await bed({}, {}, site.folder)
  const reader = again.connect(SupervisorServiceClient, await again.ca.issue('hive:reader', 'bob'))
  try {
    const { hold } = await ask<SupervisorStatus>((...rest) => reader.status({}, ...rest))
    assert.equal((hold?.until?.getTime() ?? 0) - (hold?.since?.getTime() ?? 0), 3_600_000)
    const refused = await ask<SupervisorStatus>((...rest) => reader.release({}, ...rest)).catch(fromServiceError)
    assert.match(String(refused), /needs the role hive:operator/)
  } finally {
    reader.close()
    await again.agent.stop()
  }
  assert.equal((await ask<SupervisorStatus>((...rest) => operator.release({}, ...rest))).hold, undefined)
})

test('a hold without a reason is refused', async () => {
  const operator = await as('hive:operator', 'ann')
  const refused = await ask<SupervisorStatus>((...rest) => operator.hold({ reason: '', seconds: 0 }, ...rest)).catch(fromServiceError)
  assert.match(String(refused), /needs a reason/)
})
