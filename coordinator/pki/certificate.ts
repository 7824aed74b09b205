/**
 * Making keys, certificates and the CA's own certificate. The X.509 library takes long to load, so this file is imported
 * only when something is to be signed.
 */
import 'reflect-metadata'
import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { HiveError } from '../../proto/errors.ts'

const subtle = webcrypto.subtle
const day = 86_400_000
/** Clocks of new hosts may be behind. */
const skew = 3_600_000

type Key = webcrypto.CryptoKey

const p256: EcKeyParameters = { name: 'ECDSA', namedCurve: 'P-256' }
interface EcKeyParameters {
  readonly name: 'ECDSA'
  readonly namedCurve: string
}

export interface KeyAndCertificate {
  readonly keyPem: string
  readonly certificatePem: string
}

/** The CA's certificate and key, ready to sign. */
export interface Signer {
  readonly certificate: x509.X509Certificate
  readonly key: Key
  readonly signingAlgorithm: { readonly name: string; readonly hash: string }
}

export interface Subject {
  readonly organization: string
  readonly commonName: string
}

export interface IssueRequest {
  readonly subject: Subject
  readonly publicKey: x509.PublicKeyType
  readonly usages: readonly ('client' | 'server')[]
  readonly dns: readonly string[]
  readonly addresses: readonly string[]
  /** Hexadecimal, positive. */
  readonly serial: string
  readonly now: Date
  readonly days: number
}

/**
 * A new CA: self-signed, 36500 days, DC parts of the site's name reversed, CN=ca.NAME. Its key is ECDSA P-256, or the one
 * given (a CA whose making was interrupted). `generation`: an OU that tells it from the one before.
 */
export async function createAuthority(siteName: string, serial: string, now: Date, existingKeyPem?: string, generation?: string): Promise<KeyAndCertificate> {
  const keyPem = existingKeyPem ?? (await newKeyPair()).keyPem
  const node = createPrivateKey(keyPem)
  const algorithm = keyAlgorithm(node, 'cakey.pem')
  const keys = {
    privateKey: await subtle.importKey('pkcs8', node.export({ type: 'pkcs8', format: 'der' }), algorithm.importAs, false, ['sign']),
    publicKey: await subtle.importKey('spki', createPublicKey(node).export({ type: 'spki', format: 'der' }), algorithm.importAs, true, ['verify']),
  }
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [...authorityName(siteName), ...(generation === undefined ? [] : [{ OU: [generation] }])],
    serialNumber: serial,
    notBefore: new Date(now.getTime() - skew),
    notAfter: new Date(now.getTime() + 36_500 * day),
    keys,
    signingAlgorithm: algorithm.signWith,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { keyPem, certificatePem: pemText(certificate) }
}

/** Outermost part first, as a distinguished name is written: pdns.example → DC=example, DC=pdns, CN=ca.pdns.example. */
function authorityName(siteName: string): x509.JsonName {
  const parts = siteName
    .split('.')
    .filter((part) => part !== '')
    .reverse()
  return [...parts.map((part) => ({ DC: [part] })), { CN: [`ca.${siteName}`] }]
}

/** Throws HiveError 'invalid-input' when the key is not that of the certificate, or the certificate is not a CA's. */
export async function loadSigner(certificatePem: string, keyPem: string, where: string): Promise<Signer> {
  let certificate: x509.X509Certificate
  let node: ReturnType<typeof createPrivateKey>
  try {
    certificate = new x509.X509Certificate(certificatePem)
    node = createPrivateKey(keyPem)
  } catch (cause) {
    throw new HiveError('invalid-input', `the CA in ${where} cannot be read`, { hint: 'certificate and key are PEM, the key without a password', cause })
  }
  if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca !== true)
    throw new HiveError('invalid-input', `the certificate in ${where} is not that of a CA`, { hint: 'it needs the basic constraint CA:TRUE' })
  const der = node.export({ type: 'pkcs8', format: 'der' })
  const algorithm = keyAlgorithm(node, where)
  const key = await subtle.importKey('pkcs8', der, algorithm.importAs, false, ['sign'])
  if (!new X509Certificate(certificatePem).checkPrivateKey(node))
    throw new HiveError('invalid-input', `certificate and key of the CA in ${where} do not belong together`)
  return { certificate, key, signingAlgorithm: algorithm.signWith }
}

function keyAlgorithm(key: ReturnType<typeof createPrivateKey>, where: string) {
  if (key.asymmetricKeyType === 'rsa') {
    const signWith = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    return { importAs: signWith, signWith }
  }
  const curves: Record<string, { readonly curve: string; readonly hash: string }> = {
    prime256v1: { curve: 'P-256', hash: 'SHA-256' },
    secp384r1: { curve: 'P-384', hash: 'SHA-384' },
    secp521r1: { curve: 'P-521', hash: 'SHA-512' },
  }
  const curve = key.asymmetricKeyType === 'ec' ? curves[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined
  if (curve === undefined)
    throw new HiveError('unsupported', `the CA's key in ${where} is of a kind that cannot sign here`, { hint: 'RSA, or EC on P-256, P-384 or P-521' })
  return { importAs: { name: 'ECDSA', namedCurve: curve.curve }, signWith: { name: 'ECDSA', hash: curve.hash } }
}

/** The public key of a request whose signature proves that the asker has the private one; throws 'invalid-input' otherwise. */
export async function publicKeyOfRequest(csrPem: string): Promise<x509.PublicKey> {
  let request: x509.Pkcs10CertificateRequest
  let proven: boolean
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem)
    proven = await request.verify()
  } catch (cause) {
    throw new HiveError('invalid-input', 'the certificate request cannot be read', { cause })
  }
  if (!proven) throw new HiveError('invalid-input', 'the signature of the certificate request is wrong')
  return request.publicKey
}

/** A certificate that never outlives its CA. PEM. */
export async function issue(signer: Signer, request: IssueRequest): Promise<{ readonly certificatePem: string; readonly expires: Date }> {
  const expires = new Date(Math.min(request.now.getTime() + request.days * day, signer.certificate.notAfter.getTime()))
  const oids = { client: x509.ExtendedKeyUsage.clientAuth, server: x509.ExtendedKeyUsage.serverAuth }
  const names: x509.JsonGeneralNames = [
    ...request.dns.map((value) => ({ type: 'dns' as const, value })),
    ...request.addresses.map((value) => ({ type: 'ip' as const, value })),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: request.serial,
    subject: [{ O: [request.subject.organization] }, { CN: [request.subject.commonName] }],
    issuer: signer.certificate.subjectName,
    notBefore: new Date(Math.max(request.now.getTime() - skew, signer.certificate.notBefore.getTime())),
    notAfter: expires,
    publicKey: request.publicKey,
    signingKey: signer.key,
    signingAlgorithm: signer.signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(request.usages.map((usage) => oids[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  })
  return { certificatePem: pemText(certificate), expires }
}

/** A new ECDSA P-256 key pair; the private half as PKCS #8 PEM. */
export async function newKeyPair(): Promise<{ readonly publicKey: Key; readonly keyPem: string }> {
  const keys = await subtle.generateKey(p256, true, ['sign', 'verify'])
  return { publicKey: keys.publicKey, keyPem: await privateKeyPem(keys.privateKey) }
}

async function privateKeyPem(key: Key): Promise<string> {
  return `${x509.PemConverter.encode(await subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

const pemText = (certificate: x509.X509Certificate): string => `${certificate.toString('pem')}\n`
