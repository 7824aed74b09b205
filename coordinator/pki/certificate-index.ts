/** What a stage's CA has issued: CONTEXT_DIR/ca/index.jsonl, one line a certificate, only ever appended to. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readTextIfPresent } from '../run/atomic-file.ts'

export interface IssuedCertificate {
  /** Hexadecimal. */
  readonly serial: string
  readonly name: string
  /** hive:admin, hive:operator, hive:reader, hive:agent */
  readonly role: string
  readonly issued: string
  readonly expires: string
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

  /** All that were issued and whose bearer was not removed since, oldest first. A last line cut short by a crash is left out. */
  list(): readonly IssuedCertificate[] {
    let entries: IssuedCertificate[] = []
    for (const line of (readTextIfPresent(this.#path) ?? '').split('\n')) {
      const entry = parse(line)
      if (entry === undefined) continue
      if ('removed' in entry) entries = entries.filter(({ name, role }) => name !== entry.removed || role !== entry.role)
      else entries.push(entry)
    }
    return entries
  }

  #append(entry: IssuedCertificate | Removal): void {
    mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 })
    const text = readTextIfPresent(this.#path) ?? ''
    // A line cut short by a crash must not swallow the one after it.
    const begin = text === '' || text.endsWith('\n') ? '' : '\n'
    appendFileSync(this.#path, `${begin}${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true })
  }
}

function parse(line: string): IssuedCertificate | Removal | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as IssuedCertificate | Removal) : undefined
  } catch {
    return undefined
  }
}
