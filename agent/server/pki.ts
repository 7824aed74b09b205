/**
 * The host's key and certificate: pki/key.pem, cert.pem, ca.pem. A key never leaves the host. While a new key waits for its certificate it
 * is key.new.pem; whichever of the two belongs to cert.pem is the one in use, so a crash between two renames does no harm.
 */
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { certificatesIn, signedByOneOf } from '../../proto/pem.ts'
import { agentRole } from '../../proto/roles.ts'
import { writeWhole } from '../runs/state-file.ts'

export interface PemSet {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

const readIfThere = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const fits = (certificate: X509Certificate, key: string | undefined): key is string => key !== undefined && certificate.checkPrivateKey(createPrivateKey(key))

/** Throws HiveError 'not-found' before the host is enrolled, 'conflict' when key and certificate do not belong together. */
export async function loadPki(folder: string): Promise<PemSet> {
  const [ca, cert, key, newKey] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem', 'key.new.pem'].map((name) => readIfThere(join(folder, name))))
  if (ca === undefined || cert === undefined)
    throw new HiveError('not-found', `there is no certificate in ${folder}`, { hint: 'run hive-agent csr, sign it, and hive-agent install-certificate' })
  const certificate = new X509Certificate(cert)
  const used = [key, newKey].find((candidate) => fits(certificate, candidate))
  if (used === undefined) throw new HiveError('conflict', `the certificate in ${folder} belongs to no key there`)
  return { ca, cert, key: used }
}

export const expiryOf = (pem: string): Date => new Date(new X509Certificate(pem).validTo)

export interface RequestNames {
  readonly name: string
  readonly dns: readonly string[]
  readonly addresses: readonly string[]
}

/**
 * A certificate request (PEM) with O=hive:agent. The key there is used, or one is made with mode 0600; with `renewKey` a new one is made,
 * which comes into use when its certificate is installed.
 */
export async function createRequest(folder: string, names: RequestNames, renewKey: boolean): Promise<string> {
  // Only enrolment needs it, and it takes a third of the agent's start.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'key.pem')
  const present = await readIfThere(path)
  const keys = present === undefined || renewKey ? await makeKeys(present === undefined ? path : join(folder, 'key.new.pem')) : await importKeys(present)
  const alternatives = [
    ...[...new Set([names.name, ...names.dns])].map((value) => ({ type: 'dns' as const, value })),
    ...[...new Set([...names.addresses, '127.0.0.1'])].map((value) => ({ type: 'ip' as const, value })),
  ]
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ O: [agentRole] }, { CN: [names.name] }],
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension(alternatives)],
    },
    webcrypto,
  )
  return `${request.toString('pem')}\n`
}

async function makeKeys(path: string): Promise<webcrypto.CryptoKeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  await writeWhole(path, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString(), 0o600)
  return keys
}

async function importKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem)
  const jwk = key.export({ format: 'jwk' })
  const { d: _, ...publicJwk } = jwk
  return {
    privateKey: await webcrypto.subtle.importKey('jwk', jwk as webcrypto.JsonWebKey, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('jwk', publicJwk as webcrypto.JsonWebKey, algorithm, true, ['verify']),
  }
}

/** Installs a certificate for a key made here. `ca` "": the one in use stays. Returns its expiry. Throws HiveError 'invalid-input'. */
export async function installCertificate(folder: string, certificatePem: string, caPem: string): Promise<Date> {
  const certificate = parse(certificatePem, 'certificate')
  const ca = caPem === '' ? ((await readIfThere(join(folder, 'ca.pem'))) ?? '') : caPem
  const authorities = authoritiesIn(ca)
  if (!signedByOneOf(certificate, authorities)) throw new HiveError('invalid-input', 'the certificate is not signed by the CA given with it')
  if (new Date(certificate.validTo) <= new Date()) throw new HiveError('invalid-input', `the certificate expired on ${certificate.validTo}`)
  const newKeyPath = join(folder, 'key.new.pem')
  const forNewKey = fits(certificate, await readIfThere(newKeyPath))
  if (!forNewKey && !fits(certificate, await readIfThere(join(folder, 'key.pem'))))
    throw new HiveError('invalid-input', 'the certificate is for a key that is not on this host')
  await writeWhole(join(folder, 'ca.pem'), inLines(ca), 0o644)
  await writeWhole(join(folder, 'cert.pem'), certificatePem, 0o644)
  if (forNewKey) await rename(newKeyPath, join(folder, 'key.pem'))
  else await rm(newKeyPath, { force: true })
  return new Date(certificate.validTo)
}

/**
 * These authorities count from now on, and no others. `caller`: the certificate (DER) of whoever asks. Throws HiveError 'blocked' where the
 * host's own certificate or the caller's is of none of them: one would be cut off.
 */
export async function setAuthorities(folder: string, caPem: string, caller?: Uint8Array): Promise<void> {
  const authorities = authoritiesIn(caPem)
  if (authorities.length === 0) throw new HiveError('invalid-input', 'no certificate of an authority was given')
  const { cert } = await loadPki(folder)
  if (!signedByOneOf(new X509Certificate(cert), authorities))
    throw new HiveError('blocked', "this host's own certificate is of none of these authorities", { hint: 'install one of theirs first' })
  if (caller !== undefined && !signedByOneOf(new X509Certificate(caller), authorities))
    throw new HiveError('blocked', "the caller's certificate is of none of these authorities", { hint: 'call with one of theirs' })
  await writeWhole(join(folder, 'ca.pem'), inLines(caPem), 0o644)
}

/** OpenSSL reads only certificates that begin on a line of their own. */
const inLines = (caPem: string): string => (/-----END CERTIFICATE-----[^\r\n]/.test(caPem) ? certificatesIn(caPem).join('') : caPem)

/** Throws HiveError 'invalid-input' where one can't be read or is none. */
function authoritiesIn(caPem: string): readonly X509Certificate[] {
  const found = certificatesIn(caPem).map((pem) => parse(pem, 'CA certificate'))
  const none = found.find(({ ca }) => !ca)
  if (none !== undefined) throw new HiveError('invalid-input', `${none.subject.replaceAll('\n', ', ')} is no authority`)
  return found
}

function parse(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new HiveError('invalid-input', `the ${what} can't be read`, { cause: error })
  }
}
