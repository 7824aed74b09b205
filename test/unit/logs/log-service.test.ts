import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ReadLogFilesRequest } from '#gen/hive/v1/logs.ts'
import { logService } from '../../../agent/server/log-service.ts'
import type { CallContext } from '../../../agent/server/service.ts'

describe('the service for logs', () => {
  const read = async (changes: Partial<ReadLogFilesRequest>): Promise<unknown[]> => {
    const call: CallContext = {
      caller: { name: 'me', role: 'hive:reader', address: '', certificate: undefined },
      rpc: 'hive.v1.LogService/Read',
      signal: AbortSignal.timeout(5000),
    }
    const request: ReadLogFilesRequest = { service: 'web', errors: false, follow: false, tail: 10, since: undefined, grep: '', ...changes }
    const answers: unknown[] = []
    const handler = logService().handlers['read'] as ((request: ReadLogFilesRequest, call: CallContext) => AsyncIterable<unknown>) | undefined
    for await (const answer of handler?.(request, call) ?? []) answers.push(answer)
    return answers
  }

  test('reads nothing but logs of services', async () => {
    for (const service of ['', '.', '..', '../../../etc/passwd', '/etc/passwd', 'web/../../x', '-x', 'a b', 'web\0'])
      await assert.rejects(read({ service }), /is no name of a service/, JSON.stringify(service))
  })

  test('says where there is no log, and refuses to keep too many lines in memory', async () => {
    await assert.rejects(read({ service: 'no-such-service' }), /nothing of no-such-service was logged here/)
    await assert.rejects(read({ tail: 1_000_000 }), /too many/)
  })
})
