/**
 * The trust of one stage: its CA in CONTEXT_DIR/ca (cacert.pem, cakey.pem, serial, as hive-builder lays them out) and
 * the credentials of whoever works with the stage in CONTEXT_DIR/pki/USER@HOST.
 */
import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'
import type { Signer } from './certificate.ts'
import { CertificateIndex, type IssuedCertificate } from './certificate-index.ts'

/** Long enough that a site left alone for two years still talks, and the longest that common verifiers accept. */
export const certificateDays = 825

export type Role = 'hive:admin' | 'hive:operator' | 'hive:reader' | 'hive:agent'

export interface Credentials {
  readonly caPem: string
  readonly certificatePem: string
  readonly keyPem: string
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
  #signer: Promise<Signer> | undefined
  #caPem: string | undefined
  #ensuring: Promise<void> | undefined

  constructor(options: StagePkiOptions) {
    this.contextDir = options.contextDir
    this.identity = options.identity ?? localIdentity()
    this.#folder = join(options.contextDir, 'ca')
    this.#siteName = options.siteName
    this.#given = options.givenCa
    this.#now = options.now ?? (() => new Date())
    this.#index = new CertificateIndex(this.#folder)
  }

  /** The stage has a CA already. */
  get exists(): boolean {
    return readTextIfPresent(join(this.#folder, 'cacert.pem')) !== undefined
  }

  /** The CA's certificate. Throws HiveError 'not-found' before `ensureCa`. */
  get caPem(): string {
    this.#caPem ??= readTextIfPresent(join(this.#folder, 'cacert.pem'))
    if (this.#caPem === undefined)
      throw new HiveError('not-found', `the stage has no CA yet (${this.#folder})`, {
        hint: 'build-infra makes it; or copy the context folder from whoever made the site',
      })
    return this.#caPem
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

  /** A new key and its client certificate (O=role, CN=name, 825 days). Nothing of it is kept here but the entry in the index. */
  async issueClient(bearer: { readonly name: string; readonly role: Exclude<Role, 'hive:agent'> }): Promise<Credentials> {
    await this.ensureCa()
    const { newKeyPair } = await import('./certificate.ts')
    const { publicKey, keyPem } = await newKeyPair()
    const certificatePem = await this.#issue({ ...bearer, publicKey, usages: ['client'], dns: [], addresses: [] })
    return { caPem: this.caPem, certificatePem, keyPem }
  }

  /** This admin box's client certificate, made when missing, and anew when another CA signed it or less than 30 % of its life is left. */
  async adminCredentials(): Promise<Credentials> {
    const folder = join(this.contextDir, 'pki', this.identity)
    const paths = { key: join(folder, 'key.pem'), certificate: join(folder, 'cert.pem') }
    const keyPem = readTextIfPresent(paths.key)
    const certificatePem = readTextIfPresent(paths.certificate)
    if (keyPem !== undefined && certificatePem !== undefined && this.#usable(certificatePem, keyPem)) return { caPem: this.caPem, certificatePem, keyPem }
    const made = await this.issueClient({ name: this.identity, role: 'hive:admin' })
    // Both files change together as far as a reader can tell: one whose key does not match is made anew.
    writeFileAtomic(paths.key, made.keyPem)
    writeFileAtomic(paths.certificate, made.certificatePem)
    return made
  }

  #usable(certificatePem: string, keyPem: string): boolean {
    try {
      return this.#ofThisCa(certificatePem, 0.3)?.checkPrivateKey(createPrivateKey(keyPem)) === true
    } catch {
      return false
    }
  }

  /** The certificate, where this CA signed it and at least this share of its life is left. */
  #ofThisCa(certificatePem: string, leastLeft: number): X509Certificate | undefined {
    try {
      const certificate = new X509Certificate(certificatePem)
      const issuer = new X509Certificate(this.caPem)
      const from = Date.parse(certificate.validFrom)
      const to = Date.parse(certificate.validTo)
      const fresh = to - this.#now().getTime() >= (to - from) * leastLeft
      return fresh && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey) ? certificate : undefined
    } catch {
      return undefined
    }
  }

  /** What the CA has issued to bearers that still exist. */
  issued(): readonly IssuedCertificate[] {
    return this.#index.list()
  }

  /** A host got its certificate from this CA, so an agent should be answering there. */
  enrolled(host: string): boolean {
    return this.#index.list().some(({ name, role }) => name === host && role === 'hive:agent')
  }

  /** The host is destroyed: it counts as not enrolled until it asks again. */
  forgetHost(host: string): void {
    if (this.enrolled(host)) this.#index.forget(host, 'hive:agent', this.#now())
  }

  async #issue(request: {
    readonly role: Role
    readonly name: string
    readonly publicKey: import('./certificate.ts').IssueRequest['publicKey']
    readonly usages: readonly ('client' | 'server')[]
    readonly dns: readonly string[]
    readonly addresses: readonly string[]
  }): Promise<string> {
    await this.ensureCa()
    const { issue } = await import('./certificate.ts')
    const now = this.#now()
    const serial = newSerial()
    const { role, name, ...rest } = request
    const signer = await this.#loadSigner()
    const { certificatePem, expires } = await issue(signer, { ...rest, subject: { organization: role, commonName: name }, serial, now, days: certificateDays })
    this.#index.add({ serial, name, role, issued: now.toISOString(), expires: expires.toISOString() })
    return certificatePem
  }

  #loadSigner(): Promise<Signer> {
    this.#signer ??= (async () => {
      const { loadSigner } = await import('./certificate.ts')
      const keyPem = readTextIfPresent(join(this.#folder, 'cakey.pem'))
      if (keyPem === undefined)
        throw new HiveError('not-found', `the CA's key is not in ${this.#folder}`, {
          hint: 'certificates can be issued only where cakey.pem is; copy it from whoever made the site',
        })
      return loadSigner(this.caPem, keyPem, this.#folder)
    })()
    return this.#signer
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
