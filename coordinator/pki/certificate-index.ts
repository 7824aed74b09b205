/** What a stage's CA has issued and taken back: CONTEXT_DIR/ca/index.jsonl, one line a certificate or event, only ever appended to. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { plainSerial } from '../../proto/pem.ts'
import { readTextIfPresent } from '../run/atomic-file.ts'

export interface IssuedCertificate {
  /** Hexadecimal. */
  readonly serial: string
  readonly name: string
  /** hive:admin, hive:operator, hive:reader, hive:agent */
  readonly role: string
  readonly issued: string
  readonly expires: string
  /** The fingerprint of the CA that signed it; what has none is older than the first exchange of a CA. */
  readonly ca?: string
}

/** Nobody accepts it any more, although it has not expired. */
export interface Revocation {
  /** The certificate's. */
  readonly revoked: string
  readonly name: string
  readonly role: string
  readonly at: string
  readonly expires: string
  readonly reason: string
}

interface Removal {
  readonly removed: string
  readonly role: string
  readonly at: string
}

export class CertificateIndex {
  readonly #path: string

  constructor(caFolder: string) {
    this.#path = join(caFolder, 'index.jsonl')
  }

  add(entry: IssuedCertificate): void {
    this.#append(entry)
  }

  /** The bearer is gone for good (a destroyed host): its certificates no longer count as in use. */
  forget(name: string, role: string, now: Date): void {
    const removal: Removal = { removed: name, role, at: now.toISOString() }
    this.#append(removal)
  }

  revoke(revocation: Revocation): void {
    this.#append(revocation)
  }

  /** All that were issued, whose bearer was not removed since, and that were not revoked, oldest first. A last line cut short by a crash is left out. */
  list(): readonly IssuedCertificate[] {
    let entries: IssuedCertificate[] = []
    for (const entry of this.#entries()) {
      if ('removed' in entry) entries = entries.filter(({ name, role }) => name !== entry.removed || role !== entry.role)
      else if ('revoked' in entry) entries = entries.filter(({ serial }) => plainSerial(serial) !== plainSerial(entry.revoked))
      else entries.push(entry)
    }
    return entries
  }

  /** All that were ever issued and have not expired, oldest first: also those of bearers that are gone, who may still hold them. */
  everIssued(now: Date): readonly IssuedCertificate[] {
    return this.#entries().flatMap((entry) => ('serial' in entry && Date.parse(entry.expires) > now.getTime() ? [entry] : []))
  }

  /** Those that have not expired by themselves meanwhile, each once, oldest first. */
  revoked(now: Date): readonly Revocation[] {
    const all = this.#entries().flatMap((entry) => ('revoked' in entry && Date.parse(entry.expires) > now.getTime() ? [entry] : []))
    return [...new Map(all.map((entry) => [plainSerial(entry.revoked), entry])).values()]
  }

  #entries(): readonly (IssuedCertificate | Removal | Revocation)[] {
    return (readTextIfPresent(this.#path) ?? '').split('\n').flatMap((line) => parse(line) ?? [])
  }

  #append(entry: IssuedCertificate | Removal | Revocation): void {
    mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 })
    const text = readTextIfPresent(this.#path) ?? ''
    // A line cut short by a crash must not swallow the one after it.
    const begin = text === '' || text.endsWith('\n') ? '' : '\n'
    appendFileSync(this.#path, `${begin}${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true })
  }
}

function parse(line: string): IssuedCertificate | Removal | Revocation | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as IssuedCertificate | Removal | Revocation) : undefined
  } catch {
    return undefined
  }
}
