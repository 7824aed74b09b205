/** Whom an agent lets in, and for how long. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { HealthClient } from '#gen/grpc/health/v1/health.ts'
import { HostServiceClient, type InfoResponse } from '#gen/hive/v1/host.ts'
import { LockServiceClient, type LockState } from '#gen/hive/v1/run.ts'
import { type AuditEntry, AuditServiceClient, type RevokedCertificate, type Trust, TrustServiceClient } from '#gen/hive/v1/trust.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { peerCredentials } from '../../../agent/adapters/peer-credentials.ts'
import { usePkiFolder } from '../../../agent/adapters/pki-folder.ts'
import { AuditLog } from '../../../agent/server/audit-log.ts'
import { Doorkeeper } from '../../../agent/server/doorkeeper.ts'
import { readRevoked } from '../../../agent/server/revocations.ts'
import { ensureTrust } from '../../../agent/steps/ensure-trust.ts'
import type { StepContext } from '../../../agent/steps/executor.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { ask, type Bed, bed, hostName } from './agent-bed.ts'
import { fakes } from './fake-steps.ts'
import { type Issued, SiteCa } from './site-ca.ts'

const day = 24 * 3600 * 1000
let site: Bed
before(async () => {
  site = await bed(fakes({}).executors)
})
after(() => site.close())

const refusalOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => `${fromServiceError(error).code}: ${fromServiceError(error).message}`,
  )
const serialOf = ({ cert }: Issued): string => new X509Certificate(cert).serialNumber
const revocationOf = (issued: Issued, name: string, days = 10): RevokedCertificate => ({
  serial: serialOf(issued),
  name,
  role: 'hive:operator',
  at: new Date(),
  expires: new Date(Date.now() + days * day),
  reason: 'left the team',
})
const info = (client: HostServiceClient): Promise<InfoResponse> => ask((...rest) => client.info({}, ...rest))
const refuse = (client: TrustServiceClient, revoked: RevokedCertificate[]): Promise<Trust> => ask((...rest) => client.refuse({ revoked }, ...rest))
const admin = async (): Promise<TrustServiceClient> => site.connect(TrustServiceClient, await site.ca.issue('hive:admin', 'root'))

test('a revoked certificate is refused on the connection that it has, and its open calls end; others go on', async () => {
  const bad = await site.ca.issue('hive:operator', 'mallory')
  const good = await site.ca.issue('hive:operator', 'anna')
  const [badClient, goodClient] = [site.connect(HostServiceClient, bad), site.connect(HostServiceClient, good)]
  await Promise.all([info(badClient), info(goodClient)])
  const badStream = site.connect(HealthClient, bad).watch({ service: '' })
  const goodStream = site.connect(HealthClient, good).watch({ service: '' })
  goodStream.on('error', () => undefined)
  await Promise.all([once(badStream, 'data'), once(goodStream, 'data')])
  const ended = once(badStream, 'error')
  const answer = await refuse(await admin(), [revocationOf(bad, 'mallory')])
  assert.deepEqual(
    answer.revoked.map(({ name, reason }) => [name, reason]),
    [['mallory', 'left the team']],
  )
  const [error] = await ended
  assert.match(fromServiceError(error).message, /the certificate of mallory was revoked \(left the team\)/)
  assert.match(await refusalOf(info(badClient)), /^denied: the certificate of mallory was revoked/)
  assert.match(await refusalOf(info(site.connect(HostServiceClient, bad))), /^denied/)
  assert.equal(await refusalOf(info(goodClient)), 'ok')
  assert.equal(goodStream.destroyed, false)
  goodStream.cancel()
})

test('what is revoked is kept over a restart, only grows, and goes when it has expired anyway', async () => {
  const [one, two] = [await site.ca.issue('hive:reader', 'one'), await site.ca.issue('hive:reader', 'two')]
  await refuse(await admin(), [revocationOf(one, 'one')])
  const { revoked } = await refuse(await admin(), [revocationOf(two, 'two'), revocationOf(await site.ca.issue('hive:reader', 'old'), 'old', -1)])
  const names = revoked.map(({ name }) => name)
  assert.ok(names.includes('one') && names.includes('two') && !names.includes('old'), names.join())
  const kept = await readRevoked(site.pkiDir)
  const later = new Doorkeeper(site.ca.pem, kept, () => new Date())
  assert.match(later.whyNot({ name: 'one', certificate: new X509Certificate(one.cert).raw }) ?? '', /revoked/)
  assert.match(await refusalOf(refuse(await admin(), [{ ...revocationOf(one, 'one'), serial: 'not a number' }])), /^invalid-input/)
})

test('nobody revokes the certificate that is asked with, and operators revoke none', async () => {
  const own = await site.ca.issue('hive:admin', 'root')
  assert.match(await refusalOf(refuse(site.connect(TrustServiceClient, own), [revocationOf(own, 'root')])), /^blocked/)
  const operator = site.connect(TrustServiceClient, await site.ca.issue('hive:operator', 'op'))
  assert.match(await refusalOf(refuse(operator, [])), /^denied: .*needs the role hive:admin/)
})

test('a host takes no authorities by which it or the caller would be cut off', async () => {
  const client = await admin()
  const set = (caPem: string): Promise<Trust> => ask((...rest) => client.setAuthorities({ caPem }, ...rest))
  const other = await SiteCa.make('other')
  const { cert: leaf } = await site.ca.issue('hive:admin', 'x')
  assert.match(await refusalOf(set(other.pem)), /^blocked: this host's own certificate/)
  assert.match(await refusalOf(set('')), /^invalid-input/)
  assert.match(await refusalOf(set('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')), /^invalid-input/)
  assert.match(await refusalOf(set(`${site.ca.pem}${leaf}`)), /^invalid-input: .*is no authority/)
  assert.equal(readFileSync(join(site.pkiDir, 'ca.pem'), 'utf8'), site.ca.pem)
})

test('an authority that counts no more takes its bearers with it, on the connections that they have', async () => {
  const next = await SiteCa.make('next')
  const late = await next.issue('hive:reader', 'late')
  const client = await admin()
  const set = (caPem: string): Promise<Trust> => ask((...rest) => client.setAuthorities({ caPem }, ...rest))
  await set(`${site.ca.pem}${next.pem}`)
  const host = site.connect(HostServiceClient, late)
  assert.equal(await refusalOf(info(host)), 'ok')
  await set(site.ca.pem)
  assert.match(await refusalOf(info(host)), /^denied: .*authority that counts no more/)
  assert.match(await refusalOf(info(site.connect(HostServiceClient, late))), /^unreachable/)
})

test('a certificate that expires while its connection stands is refused from then on', async () => {
  let now = new Date()
  const keeper = new Doorkeeper(site.ca.pem, [], () => now)
  const bearer = { name: 'me', certificate: new X509Certificate((await site.ca.issue('hive:reader', 'me', 5)).cert).raw }
  assert.equal(keeper.whyNot(bearer), undefined)
  now = new Date(now.getTime() + 6 * day)
  assert.match(keeper.whyNot(bearer) ?? '', /expired/)
  assert.match(keeper.whyNot({ name: '?', certificate: undefined }) ?? '', /no certificate/)
})

test('a host does not talk to another one whose certificate is revoked', async () => {
  const shown = new X509Certificate(readFileSync(join(site.pkiDir, 'cert.pem'), 'utf8'))
  const asPeer = async (): Promise<string> => {
    const client = new HostServiceClient(`127.0.0.1:${site.agent.port}`, await peerCredentials(site.pkiDir), { 'grpc.ssl_target_name_override': hostName })
    try {
      return await refusalOf(info(client))
    } finally {
      client.close()
    }
  }
  assert.equal(await asPeer(), 'ok')
  await refuse(await admin(), [{ ...revocationOf(await site.ca.issue('hive:agent', 'x'), hostName), serial: shown.serialNumber }])
  assert.match(await asPeer(), /^unreachable: .*was revoked/s)
})

test('a deploy brings a host what it missed, once, and a plan changes nothing', async () => {
  // Another agent of this process may have been started last.
  usePkiFolder(site.pkiDir)
  const context = { signal: AbortSignal.timeout(60_000), hostName, log: () => undefined } as unknown as StepContext
  const missed = await site.ca.issue('hive:operator', 'gone')
  const spec = { caPem: site.ca.pem, revoked: [revocationOf(missed, 'gone')] }
  const client = site.connect(HostServiceClient, missed)
  assert.equal(await refusalOf(info(client)), 'ok')
  const before = await readOnly(() => ensureTrust.check(spec, context))
  assert.deepEqual([before.kind, before.kind === 'change' && before.after], ['change', 'gone (hive:operator)'])
  await assert.rejects(
    readOnly(() => ensureTrust.apply(spec, context)),
    /read-only/,
  )
  await writable(() => ensureTrust.apply(spec, context))
  assert.equal((await readOnly(() => ensureTrust.check(spec, context))).kind, 'ok')
  // The agent reads its folder anew by itself.
  while ((await refusalOf(info(client))) === 'ok') context.signal.throwIfAborted()
  assert.match(await refusalOf(info(client)), /^denied/)
  const other = await SiteCa.make('other')
  assert.equal((await ensureTrust.check({ caPem: other.pem, revoked: [] }, context)).kind, 'change')
  await assert.rejects(
    writable(() => ensureTrust.apply({ caPem: other.pem, revoked: [] }, context)),
    /own certificate/,
  )
})

test('a damaged list of revocations is not taken for an empty one', async () => {
  const path = join(site.pkiDir, 'revoked.json')
  const whole = readFileSync(path)
  try {
    writeFileSync(path, '[{"serial":')
    await assert.rejects(readRevoked(site.pkiDir), /is damaged/)
    writeFileSync(path, '[{"name": "x"}]')
    await assert.rejects(readRevoked(site.pkiDir), /is damaged/)
  } finally {
    writeFileSync(path, whole)
  }
})

test('who did what can be read: what changed and what was refused, by whom and since when, without renewals of a lock', async () => {
  const anna = await site.ca.issue('hive:operator', 'anna@desk')
  const lock = site.connect(LockServiceClient, anna)
  const acquire = (owner: string): Promise<LockState> => ask((...rest) => lock.acquire({ owner, purpose: 'deploy', ttlSeconds: 30, takesOver: [] }, ...rest))
  for (let n = 0; n < 3; n++) await acquire('anna')
  await ask((...rest) => lock.release({ owner: 'anna' }, ...rest))
  const host = site.connect(HostServiceClient, anna)
  await refusalOf(ask((...rest) => host.createCertificateRequest({}, ...rest)))
  await info(host)
  const reader = site.connect(AuditServiceClient, await site.ca.issue('hive:reader', 'ro'))
  const read = async (question: { by?: string; since?: Date; failedOnly?: boolean; limit?: number }): Promise<AuditEntry[]> => {
    const entries: AuditEntry[] = []
    for await (const entry of reader.read({ by: '', since: undefined, limit: 0, failedOnly: false, ...question })) entries.push(entry)
    return entries
  }
  const all = await read({ by: 'anna' })
  assert.deepEqual(
    all.map(({ rpc, ok, code }) => [rpc, ok, code]),
    [
      ['hive.v1.LockService/Acquire', true, ''],
      ['hive.v1.LockService/Release', true, ''],
      ['hive.v1.HostService/CreateCertificateRequest', false, 'denied'],
    ],
  )
  assert.match(all[0]?.request ?? '', /"purpose":"deploy"/)
  assert.equal(all[0]?.role, 'hive:operator')
  assert.deepEqual(
    (await read({ by: 'anna@desk', failedOnly: true })).map(({ rpc }) => rpc),
    ['hive.v1.HostService/CreateCertificateRequest'],
  )
  assert.deepEqual(await read({ by: 'ann' }), [])
  assert.deepEqual(await read({ by: 'anna', since: new Date(Date.now() + day) }), [])
  assert.equal((await read({ by: 'anna', limit: 1 })).length, 1)
})

test('an audit log keeps its size, its order and what a crash left whole', async () => {
  const failures: unknown[] = []
  const record = (n: number) => ({ at: new Date(n * 1000).toISOString(), rpc: 'x/Y', caller: 'me', role: 'r', peer: '', milliseconds: n, ok: true })
  const first = new AuditLog(site.folder, (error) => failures.push(error), 2000)
  for (let n = 0; n < 200; n++) first.write(record(n))
  await first.settled()
  appendFileSync(join(site.folder, 'audit.jsonl'), '{"at":"2026')
  const second = new AuditLog(site.folder, (error) => failures.push(error), 2000)
  second.write(record(200))
  const found = (await second.read({ by: '', limit: 1000 })).map(({ milliseconds }) => milliseconds)
  assert.deepEqual(failures, [])
  assert.equal(found.at(-1), 200)
  assert.deepEqual(
    found,
    Array.from({ length: found.length }, (_, n) => 201 - found.length + n),
  )
  assert.ok(found.length > 50 && found.length < 150, `${found.length}`)
  assert.equal(existsSync(join(site.folder, 'audit.jsonl.5')), false)
})
