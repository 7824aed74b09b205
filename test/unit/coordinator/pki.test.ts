import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import * as x509 from '@peculiar/x509'
import { createAuthority } from '../../../coordinator/pki/certificate.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { HiveError } from '../../../proto/errors.ts'
import { tempFolder } from './support/temp.ts'

const day = 86_400_000

async function certificateRequest(): Promise<{ csr: string; keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=whatever', keys, signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } })
  const keyPem = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { csr: csr.toString('pem'), keyPem }
}

const hostNames = { name: 'hive0.pdns', dns: ['hive0.pdns', 'hive0'], addresses: ['127.0.0.1', '10.0.0.2'] }

test('a new CA bears the site in its name and is made once', async (t) => {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'pdns.example' })
  assert.equal(pki.exists, false)
  await Promise.all([pki.ensureCa(), pki.ensureCa()])
  const ca = new X509Certificate(pki.caPem)
  assert.equal(ca.subject, 'DC=example\nDC=pdns\nCN=ca.pdns.example')
  assert.equal(ca.ca, true)
  assert.equal(statSync(join(contextDir, 'ca/cakey.pem')).mode & 0o777, 0o600)
  assert.match(readFileSync(join(contextDir, 'ca/serial'), 'utf8'), /^[0-9A-F]{32}\n$/)
  await new StagePki({ contextDir, siteName: 'other' }).ensureCa()
  assert.equal(readFileSync(join(contextDir, 'ca/cacert.pem'), 'utf8'), pki.caPem)
})

test('a CA whose making was interrupted is finished with the key that is there', async (t) => {
  const contextDir = tempFolder(t)
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  mkdirSync(join(contextDir, 'ca'))
  writeFileSync(join(contextDir, 'ca/cakey.pem'), privateKey)
  const pki = new StagePki({ contextDir, siteName: 'pdns' })
  await pki.ensureCa()
  assert.equal(readFileSync(join(contextDir, 'ca/cakey.pem'), 'utf8'), privateKey)
  assert.ok(new X509Certificate(pki.caPem).checkPrivateKey(createPrivateKey(privateKey)))
})

test('an RSA-4096 CA that is there already is adopted and signs', async (t) => {
  const contextDir = tempFolder(t)
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 4096,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const { certificatePem } = await createAuthority('old', '1234', new Date(), privateKey)
  mkdirSync(join(contextDir, 'ca'))
  writeFileSync(join(contextDir, 'ca/cakey.pem'), privateKey)
  writeFileSync(join(contextDir, 'ca/cacert.pem'), certificatePem)
  const pki = new StagePki({ contextDir, siteName: 'pdns' })
  const { csr } = await certificateRequest()
  const certificate = new X509Certificate(await pki.signHostCertificate(csr, hostNames))
  assert.ok(certificate.verify(new X509Certificate(certificatePem).publicKey))
  assert.equal(pki.caPem, certificatePem)
})

test('hive_ca_cert and hive_ca_key are used as they are, and only together', async (t) => {
  const given = await createAuthority('mine', '77', new Date())
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'pdns', givenCa: given })
  await pki.ensureCa()
  assert.equal(pki.caPem, given.certificatePem)
  const half = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns', givenCa: { certificatePem: given.certificatePem, keyPem: undefined } })
  await assert.rejects(half.ensureCa(), (error) => error instanceof HiveError && error.code === 'invalid-input')
  const other = await createAuthority('other', '78', new Date())
  const mixed = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns', givenCa: { certificatePem: given.certificatePem, keyPem: other.keyPem } })
  await assert.rejects(mixed.ensureCa(), /do not belong together/)
})

test("a host's certificate names the host as told, not as it asked, and is recorded", async (t) => {
  const pki = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns' })
  const { csr } = await certificateRequest()
  const certificate = new X509Certificate(await pki.signHostCertificate(csr, hostNames))
  assert.equal(certificate.subject, 'O=hive:agent\nCN=hive0.pdns')
  assert.equal(certificate.checkHost('hive0.pdns'), 'hive0.pdns')
  assert.equal(certificate.checkHost('whatever'), undefined)
  assert.equal(certificate.checkIP('10.0.0.2'), '10.0.0.2')
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'])
  assert.ok(pki.enrolled('hive0.pdns'))
  const [entry] = pki.issued()
  assert.equal(entry?.role, 'hive:agent')
  assert.equal(entry.serial.toUpperCase(), certificate.serialNumber)
  pki.forgetHost('hive0.pdns')
  assert.equal(pki.enrolled('hive0.pdns'), false)
})

test("a host's certificate stays while it is this CA's, of the host's key, with its names, and a third of its life is left", async (t) => {
  let now = new Date()
  const pki = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns', now: () => now })
  await pki.ensureCa()
  const { csr } = await certificateRequest()
  const other = await certificateRequest()
  assert.equal(await pki.hostCertificateServes('', csr, hostNames), false)
  const certificate = await pki.signHostCertificate(csr, hostNames)
  assert.equal(await pki.hostCertificateServes(certificate, csr, hostNames), true)
  assert.equal(await pki.hostCertificateServes('', csr, hostNames), false)
  assert.equal(await pki.hostCertificateServes(certificate, other.csr, hostNames), false)
  assert.equal(await pki.hostCertificateServes(certificate, csr, { ...hostNames, addresses: ['10.0.0.3'] }), false)
  assert.equal(await pki.hostCertificateServes(certificate, csr, { ...hostNames, dns: ['hive0.other'] }), false)
  const stranger = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns' })
  await stranger.signHostCertificate(csr, hostNames)
  assert.equal(await stranger.hostCertificateServes(certificate, csr, hostNames), false)
  now = new Date(now.getTime() + 540 * day)
  assert.equal(await pki.hostCertificateServes(certificate, csr, hostNames), true)
  now = new Date(now.getTime() + 20 * day)
  assert.equal(await pki.hostCertificateServes(certificate, csr, hostNames), false)
  now = new Date(now.getTime() - 20 * day)
  pki.forgetHost(hostNames.name)
  assert.equal(await pki.hostCertificateServes(certificate, csr, hostNames), false)
})

test('an entry that a crash cut short loses nothing but itself', async (t) => {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'pdns' })
  const { csr } = await certificateRequest()
  await pki.signHostCertificate(csr, hostNames)
  appendFileSync(join(contextDir, 'ca/index.jsonl'), '{"serial":"4')
  await pki.signHostCertificate(csr, { ...hostNames, name: 'hive1.pdns' })
  assert.deepEqual([pki.enrolled('hive0.pdns'), pki.enrolled('hive1.pdns')], [true, true])
})

test('a request whose signature does not fit is refused', async (t) => {
  const pki = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns' })
  const { csr } = await certificateRequest()
  const der = x509.PemConverter.decodeFirst(csr)
  const bytes = new Uint8Array(der)
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 1
  await assert.rejects(
    pki.signHostCertificate(x509.PemConverter.encode(der, 'CERTIFICATE REQUEST'), hostNames),
    (error) => error instanceof HiveError && error.code === 'invalid-input',
  )
  await assert.rejects(pki.signHostCertificate('no PEM', hostNames), (error) => error instanceof HiveError && error.code === 'invalid-input')
})

test("the admin box's credentials are kept until less than 30 % of their life is left", async (t) => {
  const contextDir = tempFolder(t)
  let now = new Date()
  const pki = new StagePki({ contextDir, siteName: 'pdns', identity: 'me@box', now: () => now })
  const first = await pki.adminCredentials()
  assert.equal(new X509Certificate(first.certificatePem).subject, 'O=hive:admin\nCN=me@box')
  assert.equal(statSync(join(contextDir, 'pki/me@box/key.pem')).mode & 0o777, 0o600)
  now = new Date(now.getTime() + 500 * day)
  assert.deepEqual(await pki.adminCredentials(), first)
  now = new Date(now.getTime() + 100 * day)
  assert.notDeepEqual(await pki.adminCredentials(), first)
})

test('host and admin prove themselves to each other over TLS 1.3', async (t) => {
  const pki = new StagePki({ contextDir: tempFolder(t), siteName: 'pdns' })
  const { csr, keyPem } = await certificateRequest()
  const cert = await pki.signHostCertificate(csr, hostNames)
  const admin = await pki.adminCredentials()
  const server = createServer({ key: keyPem, cert, ca: pki.caPem, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const accepted = once(server, 'secureConnection')
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'hive0.pdns',
    ca: pki.caPem,
    cert: admin.certificatePem,
    key: admin.keyPem,
  })
  await once(socket, 'secureConnect')
  const [peer] = (await accepted) as [TLSSocket]
  assert.equal(peer.authorized, true)
  assert.equal(peer.getPeerCertificate().subject.O, 'hive:admin')
  socket.destroy()
})
