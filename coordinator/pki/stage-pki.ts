/**
 * The trust of one stage: its CA in CONTEXT_DIR/ca (cacert.pem, cakey.pem, serial, as hive-builder lays them out) and
 * the credentials of whoever works with the stage in CONTEXT_DIR/pki/USER@HOST.
 */
import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { fingerprintOf, plainSerial } from '../../proto/pem.ts'
import { roleOf } from '../../proto/roles.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'
import { Authorities, type AuthorityPair } from './authorities.ts'
import type { Signer } from './certificate.ts'
import { CertificateIndex, type IssuedCertificate, type Revocation } from './certificate-index.ts'

/** Long enough that a site left alone for two years still talks, and the longest that common verifiers accept. */
export const certificateDays = 825

export type Role = 'hive:admin' | 'hive:operator' | 'hive:reader' | 'hive:agent'

/** Milliseconds before its end at which a host's certificate is renewed: a third of its life. */
const renewedBefore = (certificateDays / 3) * 86_400_000

export interface Credentials {
  /** All authorities that are accepted. */
  readonly caPem: string
  readonly certificatePem: string
  readonly keyPem: string
  /** Serials (`plainSerial`) of certificates that no host may show. Default: none. */
  readonly revoked?: ReadonlySet<string>
}

export interface HostNames {
  /** Inventory name; becomes CN. */
  readonly name: string
  readonly dns: readonly string[]
  readonly addresses: readonly string[]
}

export interface StagePkiOptions {
  readonly contextDir: string
  readonly siteName: string
  /** PEM, from hive_ca_cert and hive_ca_key: used when the stage has no CA yet. Both or neither. */
  readonly givenCa?: { readonly certificatePem: string | undefined; readonly keyPem: string | undefined } | undefined
  /** USER@HOST of this admin box. */
  readonly identity?: string | undefined
  readonly now?: (() => Date) | undefined
}

/** USER@HOST of this process. */
export const localIdentity = (): string => `${userInfo().username}@${hostname()}`

export class StagePki {
  readonly contextDir: string
  readonly identity: string
  readonly #folder: string
  readonly #siteName: string
  readonly #given: NonNullable<StagePkiOptions['givenCa']> | undefined
  readonly #now: () => Date
  readonly #index: CertificateIndex
  /** By the fingerprint of its certificate. */
  #signer: { readonly of: string; readonly signer: Promise<Signer> } | undefined
  readonly authorities: Authorities
  #ensuring: Promise<void> | undefined

  constructor(options: StagePkiOptions) {
    this.contextDir = options.contextDir
    this.identity = options.identity ?? localIdentity()
    this.#folder = join(options.contextDir, 'ca')
    this.#siteName = options.siteName
    this.#given = options.givenCa
    this.#now = options.now ?? (() => new Date())
    this.#index = new CertificateIndex(this.#folder)
    this.authorities = new Authorities(options.contextDir)
    this.authorities.heal()
  }

  /** The stage has a CA already. */
  get exists(): boolean {
    return readTextIfPresent(join(this.#folder, 'cacert.pem')) !== undefined
  }

  /** The certificates of all authorities that are accepted: one, but while the CA is exchanged. Throws HiveError 'not-found' before `ensureCa`. */
  get caPem(): string {
    return this.authorities.accepted ?? this.#none()
  }

  /** The certificate of the one that signs. Throws HiveError 'not-found' before `ensureCa`. */
  get signingPem(): string {
    return this.authorities.signing ?? this.#none()
  }

  #none(): never {
    throw new HiveError('not-found', `the stage has no CA yet (${this.#folder})`, {
      hint: 'build-infra makes it; or copy the context folder from whoever made the site',
    })
  }

  /** Adopts the CA that is there, else the one given in the inventory, else makes one. Never replaces one. */
  ensureCa(): Promise<void> {
    this.#ensuring ??= this.#makeCa().finally(() => {
      this.#ensuring = undefined
    })
    return this.#ensuring
  }

  async #makeCa(): Promise<void> {
    if (this.exists) return
    const made = await this.#newCa(readTextIfPresent(join(this.#folder, 'cakey.pem')))
    // The certificate goes last: with it the CA is complete. A key without one has signed nothing yet and is kept.
    writeFileAtomic(join(this.#folder, 'cakey.pem'), made.keyPem, 0o600)
    if (readTextIfPresent(join(this.#folder, 'serial')) === undefined) writeFileAtomic(join(this.#folder, 'serial'), `${newSerial().toUpperCase()}\n`)
    writeFileAtomic(join(this.#folder, 'cacert.pem'), made.certificatePem, 0o644)
  }

  /**
   * The one that takes the place of the present CA: the one given in the inventory where it is another one by now, else a new one. Throws HiveError
   * 'invalid-input' where the inventory gives the present one, and no other can be made for it.
   */
  async nextCa(): Promise<AuthorityPair> {
    const { certificatePem } = this.#given ?? {}
    if (certificatePem !== undefined && fingerprintOf(certificatePem) === fingerprintOf(this.signingPem))
      throw new HiveError('invalid-input', 'hive_ca_cert gives the CA that the stage has', { hint: 'put the new one into hive_ca_cert and hive_ca_key first' })
    if (certificatePem !== undefined) return this.#newCa(undefined)
    const { createAuthority } = await import('./certificate.ts')
    const serial = newSerial()
    // A name of its own: verifiers that look for an issuer by its name find the right one.
    return createAuthority(this.#siteName, serial, this.#now(), undefined, serial.slice(0, 8))
  }

  async #newCa(existingKeyPem: string | undefined): Promise<{ readonly keyPem: string; readonly certificatePem: string }> {
    const { createAuthority, loadSigner } = await import('./certificate.ts')
    const { certificatePem, keyPem } = this.#given ?? {}
    if (certificatePem === undefined && keyPem === undefined) return createAuthority(this.#siteName, newSerial(), this.#now(), existingKeyPem)
    if (certificatePem === undefined || keyPem === undefined)
      throw new HiveError('invalid-input', 'only one of hive_ca_cert and hive_ca_key is set', { hint: 'set both, or neither to get a CA made' })
    await loadSigner(certificatePem, keyPem, 'hive_ca_cert and hive_ca_key')
    return { certificatePem: ended(certificatePem), keyPem: ended(keyPem) }
  }

  /**
   * A certificate for a host's agent from its request: O=hive:agent, client and server, 825 days. The names in the request
   * count for nothing: those given here do, with localhost addresses added. PEM.
   */
  async signHostCertificate(csrPem: string, host: HostNames): Promise<string> {
    const { publicKeyOfRequest } = await import('./certificate.ts')
    return this.#issue({
      role: 'hive:agent',
      name: host.name,
      publicKey: await publicKeyOfRequest(csrPem),
      usages: ['client', 'server'],
      dns: unique([...host.dns, 'localhost']),
      addresses: unique([...host.addresses, '127.0.0.1']),
    })
  }

  /**
   * A host's present certificate goes on serving: it is recorded as of this CA, names the host as told, is of the key in its request
   * (PEM), and has more than a third of its life left.
   */
  async hostCertificateServes(certificatePem: string, csrPem: string, host: HostNames): Promise<boolean> {
    if (!this.enrolled(host.name)) return false
    const { publicKeyOfRequest } = await import('./certificate.ts')
    const { rawData } = await publicKeyOfRequest(csrPem)
    const wanted = createPublicKey({ key: Buffer.from(rawData), format: 'der', type: 'spki' })
    const certificate = this.#ofThisCa(certificatePem, 1 / 3)
    if (certificate === undefined) return false
    return (
      certificate.publicKey.equals(wanted) &&
      certificate.subject === `O=hive:agent\nCN=${host.name}` &&
      host.dns.every((name) => certificate.checkHost(name, { subject: 'never' }) !== undefined) &&
      host.addresses.every((address) => certificate.checkIP(address) !== undefined)
    )
  }

  /** A new key and its client certificate (O=role, CN=name, 825 days unless told). Nothing of it is kept here but the entry in the index. */
  async issueClient({
    days = certificateDays,
    ...bearer
  }: {
    readonly name: string
    readonly role: Exclude<Role, 'hive:agent'>
    readonly days?: number
  }): Promise<Credentials> {
    await this.ensureCa()
    const { newKeyPair } = await import('./certificate.ts')
    const { publicKey, keyPem } = await newKeyPair()
    const certificatePem = await this.#issue({ ...bearer, publicKey, usages: ['client'], dns: [], addresses: [] }, days)
    return { caPem: this.caPem, certificatePem, keyPem, revoked: this.revokedSerials() }
  }

  /** A client certificate of an hour by a given authority, to see whether hosts accept it. It is not recorded. */
  async probe({ certificatePem, keyPem }: AuthorityPair, caPem: string): Promise<Credentials> {
    const { issue, loadSigner, newKeyPair } = await import('./certificate.ts')
    const keys = await newKeyPair()
    const signer = await loadSigner(certificatePem, keyPem, this.#folder)
    const made = await issue(signer, {
      subject: { organization: 'hive:reader', commonName: `${this.identity} (probe)` },
      publicKey: keys.publicKey,
      usages: ['client'],
      dns: [],
      addresses: [],
      serial: newSerial(),
      now: this.#now(),
      days: 1 / 24,
    })
    return { caPem, certificatePem: made.certificatePem, keyPem: keys.keyPem, revoked: this.revokedSerials() }
  }

  /**
   * This admin box's client certificate, made when missing, and anew when another CA signed it, it was revoked, or less than 30 % of its life is
   * left. Where the CA's key is not here, the one that is there serves to its end.
   */
  async adminCredentials(): Promise<Credentials> {
    const folder = join(this.contextDir, 'pki', this.identity)
    const paths = { key: join(folder, 'key.pem'), certificate: join(folder, 'cert.pem') }
    const keyPem = readTextIfPresent(paths.key)
    const certificatePem = readTextIfPresent(paths.certificate)
    if (keyPem !== undefined && certificatePem !== undefined) {
      const there = { caPem: this.caPem, certificatePem, keyPem, revoked: this.revokedSerials() }
      if (this.#usable(certificatePem, keyPem, 0.3)) return there
      if (this.authorities.signingKey === undefined && this.#usable(certificatePem, keyPem, 0)) return there
    }
    return this.renewAdminCredentials()
  }

  /** A new key and certificate for this admin box, whatever it has, in the role that it has. */
  async renewAdminCredentials(): Promise<Credentials> {
    const folder = join(this.contextDir, 'pki', this.identity)
    const made = await this.issueClient({ name: this.identity, role: roleIn(readTextIfPresent(join(folder, 'cert.pem'))) ?? 'hive:admin' })
    // Both files change together as far as a reader can tell: one whose key does not match is made anew.
    writeFileAtomic(join(folder, 'key.pem'), made.keyPem)
    writeFileAtomic(join(folder, 'cert.pem'), made.certificatePem)
    return made
  }

  #usable(certificatePem: string, keyPem: string, leastLeft: number): boolean {
    try {
      return this.#ofThisCa(certificatePem, leastLeft)?.checkPrivateKey(createPrivateKey(keyPem)) === true
    } catch {
      return false
    }
  }

  /** The certificate, where this CA signed it and at least this share of its life is left. */
  #ofThisCa(certificatePem: string, leastLeft: number): X509Certificate | undefined {
    try {
      const certificate = new X509Certificate(certificatePem)
      const issuer = new X509Certificate(this.signingPem)
      if (this.revokedSerials().has(plainSerial(certificate.serialNumber))) return undefined
      const from = Date.parse(certificate.validFrom)
      const to = Date.parse(certificate.validTo)
      const fresh = to - this.#now().getTime() >= (to - from) * leastLeft
      return fresh && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey) ? certificate : undefined
    } catch {
      return undefined
    }
  }

  /** What the CA has issued to bearers that still exist, without what was revoked. */
  issued(): readonly IssuedCertificate[] {
    return this.#index.list()
  }

  /** The same with those of bearers that are gone, and those that were revoked, as long as they have not expired. */
  everIssued(): readonly IssuedCertificate[] {
    return this.#index.everIssued(this.#now())
  }

  /** What nobody may accept any more, although it has not expired. */
  revoked(): readonly Revocation[] {
    return this.#index.revoked(this.#now())
  }

  revokedSerials(): ReadonlySet<string> {
    return new Set(this.revoked().map(({ revoked }) => plainSerial(revoked)))
  }

  /** Records it; hosts are told by whoever asks for it. One that is revoked already, or has expired, stays as it is. */
  revoke({ serial, name, role, expires }: IssuedCertificate, reason: string): void {
    const now = this.#now()
    if (Date.parse(expires) <= now.getTime() || this.revokedSerials().has(plainSerial(serial))) return
    this.#index.revoke({ revoked: serial, name, role, at: now.toISOString(), expires, reason })
  }

  /** A host's certificate that ends then is renewed now: a third of its life is left, and a new one would last longer. */
  renewalDue(expires: Date): boolean {
    const now = this.#now().getTime()
    if (this.authorities.signingKey === undefined || expires.getTime() - now > renewedBefore) return false
    const next = Math.min(now + certificateDays * 86_400_000, Date.parse(new X509Certificate(this.signingPem).validTo))
    return next - expires.getTime() > 86_400_000
  }

  /** A host got its certificate from this CA, so an agent should be answering there. */
  enrolled(host: string): boolean {
    return this.#index.list().some(({ name, role }) => name === host && role === 'hive:agent')
  }

  /**
   * The host is gone: it counts as not enrolled until it asks again. `revokedBecause`: its machine may be somewhere, and what it has is revoked;
   * hosts hear of it with the next deploy.
   */
  forgetHost(host: string, revokedBecause?: string): void {
    if (revokedBecause !== undefined)
      for (const entry of this.everIssued().filter(({ name, role }) => name === host && role === 'hive:agent')) this.revoke(entry, revokedBecause)
    if (this.enrolled(host)) this.#index.forget(host, 'hive:agent', this.#now())
  }

  async #issue(
    request: {
      readonly role: Role
      readonly name: string
      readonly publicKey: import('./certificate.ts').IssueRequest['publicKey']
      readonly usages: readonly ('client' | 'server')[]
      readonly dns: readonly string[]
      readonly addresses: readonly string[]
    },
    days = certificateDays,
  ): Promise<string> {
    await this.ensureCa()
    const { issue } = await import('./certificate.ts')
    const now = this.#now()
    const serial = newSerial()
    const { role, name, ...rest } = request
    const signer = await this.#loadSigner()
    const { certificatePem, expires } = await issue(signer, { ...rest, subject: { organization: role, commonName: name }, serial, now, days })
    this.#index.add({ serial, name, role, issued: now.toISOString(), expires: expires.toISOString(), ca: fingerprintOf(this.signingPem) })
    return certificatePem
  }

  #loadSigner(): Promise<Signer> {
    const { signingPem } = this
    if (this.#signer?.of === signingPem) return this.#signer.signer
    const signer = (async () => {
      const { loadSigner } = await import('./certificate.ts')
      const keyPem = this.authorities.signingKey
      if (keyPem === undefined)
        throw new HiveError('not-found', `the CA's key is not in ${this.#folder}`, {
          hint: 'certificates can be issued only where cakey.pem is; copy it from whoever made the site',
        })
      return loadSigner(signingPem, keyPem, this.#folder)
    })()
    this.#signer = { of: signingPem, signer }
    return signer
  }
}

/** The role that a client certificate (PEM) gives; undefined where it gives none, or can't be read. */
export function roleIn(certificatePem: string | undefined): Exclude<Role, 'hive:agent'> | undefined {
  try {
    const organizations =
      certificatePem === undefined ? [] : [...new X509Certificate(certificatePem).subject.matchAll(/^O=(.*)$/gm)].map(([, name]) => name ?? '')
    const role = roleOf(organizations)
    return role === 'hive:agent' ? undefined : role
  } catch {
    return undefined
  }
}

/** 16 random bytes, positive as a DER integer. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes.readUInt8(0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

const unique = (values: readonly string[]): readonly string[] => [...new Set(values)]
const ended = (pem: string): string => (pem.endsWith('\n') ? pem : `${pem}\n`)
