/** Giving, renewing and taking certificates, with real agents on loopback. */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { webcrypto, X509Certificate } from 'node:crypto'
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as x509 from '@peculiar/x509'
import { agentAnswers } from '../../../coordinator/bootstrap/agent-answers.ts'
import { plannedRenewal, renewalsDue, renewCertificates as renewWithDeploy } from '../../../coordinator/bootstrap/renew-certificates.ts'
import { setupHosts } from '../../../coordinator/phases/setup-hosts.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { refuseTaken, writeHandOver } from '../../../coordinator/trust/hand-over.ts'
import { listCertificates } from '../../../coordinator/trust/list.ts'
import { reissue } from '../../../coordinator/trust/own-certificates.ts'
import { certificatesNamed } from '../../../coordinator/trust/revoke.ts'
import { renewCertificates, revokeCertificates, spreadTrust, type TrustInput } from '../../../coordinator/trust/stage-trust.ts'
import { HiveError } from '../../../proto/errors.ts'
import { plainSerial } from '../../../proto/pem.ts'
import { siteFixture } from '../phases/site-fixture.ts'
import { type Lab, startLab } from './support/lab.ts'
import { tempFolder } from './support/temp.ts'

const day = 86_400_000
const live = new AbortController().signal

/** A coordinator that was just started. */
function coordinator(t: TestContext, lab: Lab): TrustInput {
  const pki = new StagePki({ contextDir: lab.site.contextDir, siteName: 'test' })
  const agents = lab.otherAgents(pki)
  t.after(() => agents.close())
  return { site: lab.site, pki, agents, emit: () => undefined, signal: live }
}

const shownBy = (lab: Lab, host: string): string =>
  plainSerial(new X509Certificate(readFileSync(join(lab.site.contextDir, 'hosts', host, 'pki/cert.pem'))).serialNumber)

test('all hosts refuse a revoked operator; one that was away is named, and hears of it later', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const anna = await lab.pki.issueClient({ name: 'anna', role: 'hive:operator', days: 30 })
  const ben = await lab.pki.issueClient({ name: 'ben', role: 'hive:operator', days: 30 })
  const first = coordinator(t, lab)
  const may = async (who: typeof anna, host: string): Promise<string> => {
    const client = await first.agents.as(host, who)
    try {
      await client.connect(10_000, live)
      return 'yes'
    } catch (error) {
      return error instanceof HiveError ? error.code : String(error)
    } finally {
      client.close()
    }
  }
  assert.equal(await may(anna, 'h1'), 'yes')
  await lab.running.get('h1')?.stop()
  const told = await revokeCertificates(first, { what: 'anna', reason: 'left' })
  assert.deepEqual([told.certificates.map(({ name }) => name), told.hosts, told.missing.map(({ host }) => host)], [['anna'], ['h0', 'repo'], ['h1']])
  assert.deepEqual([await may(anna, 'h0'), await may(ben, 'h0')], ['denied', 'yes'])
  await lab.restart('h1', '0.1.0')
  const later = coordinator(t, lab)
  assert.equal(await may(anna, 'h1'), 'yes')
  const { hosts } = await listCertificates(lab.site.hosts, later.agents, later.pki, live)
  assert.deepEqual(
    hosts.map(({ host, missing }) => [host, missing]),
    [
      ['h0', []],
      ['h1', ['does not refuse anna (hive:operator) yet']],
      ['repo', []],
    ],
  )
  const again = await revokeCertificates(later, { what: undefined, reason: '' })
  assert.deepEqual([again.certificates, again.missing], [[], []])
  assert.deepEqual([await may(anna, 'h1'), await may(ben, 'h1')], ['denied', 'yes'])
  await assert.rejects(revokeCertificates(later, { what: 'anna', reason: '' }), (error) => error instanceof HiveError && error.code === 'not-found')
})

test('who revokes the own certificate goes on with a new one', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const me = coordinator(t, lab)
  const before = await me.pki.adminCredentials()
  const { missing } = await revokeCertificates(me, { what: me.pki.identity, role: 'hive:admin', reason: 'the laptop was stolen' })
  assert.deepEqual(missing, [])
  const thief = await me.agents.as('h0', before)
  await assert.rejects(thief.connect(10_000, live), /was revoked \(the laptop was stolen\)/)
  thief.close()
  assert.ok('client' in (await coordinator(t, lab).agents.reach('h0')))
})

test('a host whose certificate was revoked is not spoken to, and gets another one', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  await revokeCertificates(coordinator(t, lab), { what: 'h1', reason: 'stolen' })
  const later = coordinator(t, lab)
  const reached = await later.agents.reach('h1')
  assert.match('error' in reached ? reached.error.message : 'it answers', /does not answer|no agent yet/)
  assert.ok('client' in (await later.agents.reach('h0')))
  assert.equal(later.pki.enrolled('h1'), false)
  // Another certificate was issued to the host, and whoever has the old key still answers in its place.
  const { csr } = await requestOf()
  await later.pki.signHostCertificate(csr, { name: 'h1', dns: ['h1'], addresses: [] })
  const impostor = await coordinator(t, lab).agents.reach('h1')
  assert.match('error' in impostor ? impostor.error.message : 'it answers', /the certificate that h1 shows was revoked/)
})

async function requestOf(): Promise<{ readonly csr: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=x', keys, signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } })
  return { csr: request.toString('pem') }
}

test('a host that was replaced leaves nothing behind that lets its machine in, one that is only gone leaves no list that grows', async (t) => {
  const pki = new StagePki({ contextDir: tempFolder(t), siteName: 'test' })
  const { csr } = await requestOf()
  for (const name of ['h0', 'h0', 'h1']) await pki.signHostCertificate(csr, { name, dns: [name], addresses: [] })
  pki.forgetHost('h0', 'the host was replaced')
  pki.forgetHost('h1')
  assert.deepEqual(
    pki.revoked().map(({ name, reason }) => [name, reason]),
    [
      ['h0', 'the host was replaced'],
      ['h0', 'the host was replaced'],
    ],
  )
  assert.deepEqual([pki.enrolled('h0'), pki.enrolled('h1')], [false, false])
})

test('what is named: a bearer, some digits of a serial, and never two roles at once', () => {
  const entry = (serial: string, name: string, role: string) => ({ serial, name, role, issued: '', expires: '' })
  const issued = [entry('0abcdef012345', 'anna', 'hive:reader'), entry('ffffffff99', 'anna', 'hive:admin'), entry('1234567890', 'h0', 'hive:agent')]
  const named = (what: string, role?: string): readonly string[] => certificatesNamed(issued, [], what, role).map(({ serial }) => serial)
  assert.deepEqual(named('ABCDEF01'), ['0abcdef012345'])
  assert.deepEqual(named('h0'), ['1234567890'])
  assert.deepEqual(named('anna', 'hive:admin'), ['ffffffff99'])
  assert.throws(() => named('anna'), /several roles/)
  assert.throws(() => named('123456'), /no certificate/)
})

test("an agent's certificate is renewed by a deploy when a third of its life is left, without a restart, and once", async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const { pki, agents } = coordinator(t, lab)
  const past = new StagePki({ contextDir: lab.site.contextDir, siteName: 'test', now: () => new Date(Date.now() - 600 * day) })
  const [host] = lab.site.hosts
  assert.ok(host)
  await reissue(host, await agents.client('h0'), agents, past, live)
  const old = shownBy(lab, 'h0')
  const due = await renewalsDue(lab.site.hosts, agentAnswers(agents), pki)
  assert.deepEqual(
    due.map(({ host: { name } }) => name),
    ['h0'],
  )
  assert.deepEqual(
    due.map((one) => plannedRenewal(one).outcome.kind),
    ['change'],
  )
  await renewWithDeploy({ agents, pki, emit: () => undefined, signal: live }, due)
  assert.notEqual(shownBy(lab, 'h0'), old)
  assert.deepEqual(await renewalsDue(lab.site.hosts, agentAnswers(agents), pki), [])
})

test('new certificates by hand: for those that are named, or for whom it is time', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const before = lab.site.hosts.map(({ name }) => shownBy(lab, name))
  assert.deepEqual(await renewCertificates(coordinator(t, lab), undefined), { renewed: [], unreachable: [] })
  const { renewed } = await renewCertificates(
    coordinator(t, lab),
    lab.site.hosts.filter(({ name }) => name === 'h1'),
  )
  assert.deepEqual(renewed, ['h1'])
  assert.deepEqual(
    lab.site.hosts.map(({ name }, n) => shownBy(lab, name) === before[n]),
    [true, false, true],
  )
})

test('no renewal is due where a new certificate would end with the same CA', async (t) => {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'test' })
  await pki.ensureCa()
  const end = new Date(new X509Certificate(pki.signingPem).validTo)
  const late = new StagePki({ contextDir, siteName: 'test', now: () => new Date(end.getTime() - 100 * day) })
  assert.equal(late.renewalDue(end), false)
  assert.equal(late.renewalDue(new Date(end.getTime() - 50 * day)), true)
  assert.equal(pki.renewalDue(new Date(Date.now() + 276 * day)), false)
  assert.equal(pki.renewalDue(new Date(Date.now() + 274 * day)), true)
})

test("an operator's certificate serves where the CA's key is not", async (t) => {
  const contextDir = tempFolder(t)
  const whole = new StagePki({ contextDir, siteName: 'test', identity: 'anna@desk' })
  const late = new StagePki({ contextDir, siteName: 'test', identity: 'anna@desk', now: () => new Date(Date.now() + 700 * day) })
  const issued = await whole.adminCredentials()
  rmSync(join(contextDir, 'ca/cakey.pem'))
  assert.deepEqual(await late.adminCredentials(), issued)
  rmSync(join(contextDir, 'pki/anna@desk'), { recursive: true })
  await assert.rejects(late.adminCredentials(), /the CA's key is not in/)
})

test('what an operator is handed over is a context folder of theirs: it reaches the hosts, and has no key of the stage', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const folder = join(tempFolder(t), 'for-anna')
  refuseTaken(folder)
  writeHandOver(folder, lab.pki, 'anna@desk', await lab.pki.issueClient({ name: 'anna@desk', role: 'hive:reader' }))
  assert.throws(() => refuseTaken(folder), /is there already/)
  const pki = new StagePki({ contextDir: folder, siteName: 'test', identity: 'anna@desk' })
  const agents = lab.otherAgents(pki)
  const reached = await agents.reach('h0')
  assert.ok('client' in reached)
  await assert.rejects(reached.client.lock.acquire({ owner: 'a', purpose: '', ttlSeconds: 5, takesOver: [] }), /has hive:reader/)
  assert.equal(pki.authorities.signingKey, undefined)
  assert.equal(pki.enrolled('h0'), true)
})

test('what is revoked outlives a line that was cut short, and is no certificate in use any more', async (t) => {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'test' })
  await pki.issueClient({ name: 'anna', role: 'hive:reader' })
  const [anna] = pki.issued()
  assert.ok(anna)
  pki.revoke(anna, 'x')
  pki.revoke(anna, 'y')
  appendFileSync(join(contextDir, 'ca/index.jsonl'), '{"revoked":"4')
  const later = new StagePki({ contextDir, siteName: 'test' })
  assert.deepEqual([later.issued(), later.everIssued().length, later.revoked().map(({ reason }) => reason)], [[], 1, ['x']])
  const afterwards = new StagePki({ contextDir, siteName: 'test', now: () => new Date(Date.now() + 900 * day) })
  assert.deepEqual(afterwards.revoked(), [])
})

test('each exchange of trust carries what depends on the CA, and nothing else of setup-hosts', async () => {
  const site = siteFixture()
  const facts = { caPem: 'x', publicKeys: [], revoked: [] }
  const input = { site, limit: { hosts: undefined, services: undefined, volumes: undefined }, facts, state: { get: () => undefined, set: () => undefined } }
  const whole = await setupHosts.steps(input)
  const { steps } = await spreadTrust.steps(input)
  const whats = (list: typeof steps): ReadonlySet<string> => new Set(list.map(({ id }) => id.replace(/^[^/]*\/|@.*$/g, '')))
  const kept = whats(steps)
  for (const what of ['agent-trust', 'trust', 'docker-config', 'registry']) assert.ok(kept.has(what), `${what} of ${[...kept].join()}`)
  for (const what of ['docker', 'packages', 'sshd', 'hostname']) assert.ok(!kept.has(what), what)
  assert.ok(kept.size < whats(whole.steps).size)
  const files = steps.flatMap(({ spec }) => (spec?.kind?.$case === 'ensureFiles' ? spec.kind.value.files.map(({ path }) => path) : []))
  assert.deepEqual(
    files.filter((path) => !path.startsWith('/etc/docker/certs.d/')),
    [],
  )
})
