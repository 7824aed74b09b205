import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type HealthCheckResponse, HealthClient } from '#gen/grpc/health/v1/health.ts'
import { ServerReflectionClient } from '#gen/grpc/reflection/v1/reflection.ts'
import { type CreateCertificateRequestResponse, HostServiceClient, type InfoResponse, type RebootResponse } from '#gen/hive/v1/host.ts'
import { BlobServiceClient, type HasBlobResponse, LockServiceClient, type RunEvent, type StartRunResponse, StepServiceClient } from '#gen/hive/v1/run.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { ask, type Bed, bed } from './agent-bed.ts'
import { fakes, step } from './fake-steps.ts'
import { SiteCa } from './site-ca.ts'

let site: Bed
before(async () => {
  site = await bed(fakes({}).executors)
})
after(() => site.close())

const hostAs = async (role: string, days = 10): Promise<HostServiceClient> => site.connect(HostServiceClient, await site.ca.issue(role, 'me', days))
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => fromServiceError(error).code,
  )

test('info is answered to readers and to other hosts, with the version', async () => {
  for (const role of ['hive:reader', 'hive:agent']) {
    const client = await hostAs(role)
    assert.equal((await ask<InfoResponse>((...rest) => client.info({}, ...rest))).host, 'hive0.example.site')
  }
})

test('a role too low is refused with both roles named, and audited', async () => {
  const client = await hostAs('hive:operator')
  const failure = await ask<CreateCertificateRequestResponse>((...rest) => client.createCertificateRequest({}, ...rest)).catch(fromServiceError)
  assert.match(String(failure), /needs the role hive:admin; the certificate of me has hive:operator/)
  assert.ok(site.logged.some((line) => line['audit'] === true && line['code'] === 'denied'))
})

test('a certificate of another CA, an expired one and TLS 1.2 do not get in', async () => {
  const stranger = await SiteCa.make('another site')
  const clients = [
    site.connect(HostServiceClient, await stranger.issue('hive:admin', 'me')),
    await hostAs('hive:admin', -1),
    site.connect(HostServiceClient, await site.ca.issue('hive:admin', 'me'), { maxVersion: 'TLSv1.2' }),
  ]
  for (const client of clients) assert.equal(await codeOf(ask((...rest) => client.info({}, ...rest))), 'unreachable')
})

test('an agent of another CA is not trusted', async () => {
  const other = await SiteCa.make('another site')
  const client = site.connect(HostServiceClient, await site.ca.issue('hive:admin', 'me'), { ca: other.pem })
  assert.equal(await codeOf(ask((...rest) => client.info({}, ...rest))), 'unreachable')
})

test('health answers by service, reflection by symbol', async () => {
  const reader = await site.ca.issue('hive:reader', 'me')
  const health = site.connect(HealthClient, reader)
  assert.equal((await ask<HealthCheckResponse>((...rest) => health.check({ service: 'hive.v1.StepService' }, ...rest))).status, 1)
  assert.equal(await codeOf(ask((...rest) => health.check({ service: 'none' }, ...rest))), 'not-found')
  const stream = site.connect(ServerReflectionClient, reader).serverReflectionInfo({ deadline: Date.now() + 5000 })
  stream.write({ host: '', messageRequest: { $case: 'fileContainingSymbol', value: 'hive.v1.StepService.Plan' } })
  const [answer] = await once(stream, 'data')
  assert.equal(answer.messageResponse.$case, 'fileDescriptorResponse')
  stream.end()
})

test('a run is started, watched to its end, and audited by step ids', async () => {
  const client = site.connect(StepServiceClient, await site.ca.issue('hive:operator', 'op'))
  const { runId } = await ask<StartRunResponse>((...rest) => client.startRun({ key: 'k', owner: 'o', deployId: 'd', steps: [step('a')] }, ...rest))
  const events: RunEvent[] = []
  for await (const event of client.watchRun({ runId, from: 1n }, { deadline: Date.now() + 5000 })) events.push(event)
  assert.deepEqual(
    events.map(({ event }) => event?.$case),
    ['started', 'finished', 'runFinished'],
  )
  assert.ok(site.logged.some((line) => line['rpc'] === 'hive.v1.StepService/StartRun' && JSON.stringify(line['request']).includes('"steps":["a"]')))
})

test('a blob is kept only when whole; an upload cut off leaves nothing', async () => {
  const client = site.connect(BlobServiceClient, await site.ca.issue('hive:operator', 'op'))
  const content = Buffer.alloc(300_000, 7)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const upload = (chunks: Buffer[], cut = false): Promise<unknown> =>
    ask((metadata, options, done) => {
      const call = client.upload(metadata, options, done)
      call.write({ part: { $case: 'header', value: { sha256, size: BigInt(content.length) } } })
      for (const chunk of chunks) call.write({ part: { $case: 'chunk', value: chunk } }, () => (cut ? call.cancel() : undefined))
      if (!cut) call.end()
    })
  assert.equal(await codeOf(upload([content.subarray(0, 1000)], true)), 'cancelled')
  assert.equal(await codeOf(upload([content.subarray(0, 1000)])), 'invalid-input')
  assert.equal(await codeOf(upload([Buffer.alloc(content.length)])), 'invalid-input')
  assert.deepEqual((await ask<HasBlobResponse>((...rest) => client.has({ sha256: [sha256] }, ...rest))).present, [])
  await upload([content.subarray(0, 1000), content.subarray(1000)])
  assert.deepEqual((await ask<HasBlobResponse>((...rest) => client.has({ sha256: [sha256] }, ...rest))).present, [sha256])
  assert.deepEqual(readdirSync(`${site.folder}/state/blobs`), [sha256])
})

test('the lock is refused to a second owner', async () => {
  const client = site.connect(LockServiceClient, await site.ca.issue('hive:operator', 'op'))
  const acquire = (owner: string) =>
    ask<{ granted: boolean; owner: string }>((...rest) => client.acquire({ owner, purpose: '', ttlSeconds: 30, takesOver: [] }, ...rest))
  assert.equal((await acquire('a')).granted, true)
  const second = await acquire('b')
  assert.deepEqual([second.granted, second.owner], [false, 'a'])
})

test('a renewed certificate is in use without a restart, with a key that never left the host', async () => {
  const client = await hostAs('hive:admin')
  const before = readFileSync(`${site.pkiDir}/key.pem`, 'utf8')
  const { pem } = await ask<CreateCertificateRequestResponse>((...rest) => client.createCertificateRequest({}, ...rest))
  const certificatePem = await site.ca.sign(pem, 20)
  await ask((...rest) => client.installCertificate({ certificatePem, caPem: site.ca.pem }, ...rest))
  assert.notEqual(readFileSync(`${site.pkiDir}/key.pem`, 'utf8'), before)
  const fresh = await hostAs('hive:reader')
  const { certificateExpires } = await ask<InfoResponse>((...rest) => fresh.info({}, ...rest))
  assert.ok((certificateExpires?.getTime() ?? 0) > Date.now() + 15 * 24 * 3600 * 1000)
})

test('a restart is of the boot that it names: another one, or none, restarts nothing', async () => {
  const client = await hostAs('hive:operator')
  const { bootId } = await ask<InfoResponse>((...rest) => client.info({}, ...rest))
  assert.match(bootId, /^[0-9a-f]{8}-/)
  const ended = '00000000-0000-4000-8000-000000000000'
  assert.deepEqual(await ask<RebootResponse>((...rest) => client.reboot({ bootId: ended, reason: 'test' }, ...rest)), { begun: false, bootId })
  assert.equal(await codeOf(ask((...rest) => client.reboot({ bootId: '', reason: 'test' }, ...rest))), 'invalid-input')
  const reader = await hostAs('hive:reader')
  assert.equal(await codeOf(ask((...rest) => reader.reboot({ bootId: ended, reason: '' }, ...rest))), 'denied')
})
