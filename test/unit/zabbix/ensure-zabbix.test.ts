/** What a plan makes of a Zabbix that is not whole yet: an answer of its own for each way in which it may not be there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { EnsureZabbix } from '#gen/hive/v1/steps_repository.ts'
import { readOnly } from '../../../agent/adapters/gate.ts'
import { ensureZabbix } from '../../../agent/steps/ensure-zabbix.ts'
import type { StepContext } from '../../../agent/steps/executor.ts'

async function planAgainst(context: TestContext, listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const spec: EnsureZabbix = {
    access: { port: (server.address() as AddressInfo).port, user: 'Admin', password: 'a-Password-1' },
    site: 'pdns-private',
    hostGroups: [],
    templates: Buffer.from('{}'),
    hosts: [],
    media: [],
    switchedOff: [],
  }
  return readOnly(() => ensureZabbix.check(spec, { signal: AbortSignal.timeout(10_000) } as StepContext))
}

const answering =
  (answer: unknown): RequestListener =>
  (_request, response) =>
    void response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...(answer as object) }))

test('while its database is made, or its web server speaks of something else, it does not answer yet', async (context) => {
  const notYet = { kind: 'change', reason: 'Zabbix does not answer yet', before: '', after: '0 hosts, and their templates' }
  const error = { code: 1, message: 'Connection to the database failed.', data: '' }
  assert.deepEqual(await planAgainst(context, answering({ error })), notYet)
  assert.deepEqual(await planAgainst(context, (_request, response) => void response.end('<html>')), notYet)
  assert.deepEqual(await planAgainst(context, (_request, response) => void response.writeHead(502).end()), notYet)
})

test('one of before 6.0 is blocked, with the reason', async (context) => {
  assert.deepEqual(await planAgainst(context, answering({ result: '5.2.7' })), {
    kind: 'blocked',
    reason: 'Zabbix 5.2.7 is too old',
    hint: 'Zabbix 6.0 and later are supported',
  })
})
