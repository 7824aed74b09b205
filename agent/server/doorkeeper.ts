/**
 * Who may go on calling, besides what TLS found when the connection was made.
 *
 * - A caller whose certificate is revoked, has expired, or is of an authority that counts no more is refused at its next call, on
 *   whatever connection.
 * - Calls of such callers that are open when the host learns of it are ended.
 */
import { X509Certificate } from 'node:crypto'
import type { RevokedCertificate } from '#gen/hive/v1/trust.ts'
import { HiveError } from '../../proto/errors.ts'
import { certificatesIn, plainSerial, signedByOneOf } from '../../proto/pem.ts'

/** A caller's certificate. */
export interface Bearer {
  readonly name: string
  /** DER; undefined where the connection has none. */
  readonly certificate: Uint8Array | undefined
}

interface OpenCall {
  readonly bearer: Bearer
  readonly controller: AbortController
}

export class Doorkeeper {
  readonly #now: () => Date
  readonly #open = new Set<OpenCall>()
  /** By the certificate's bytes: what was found of it, until the trust changes. */
  #seen = new Map<string, { readonly until: number; readonly why: string | undefined }>()
  #authorities: readonly X509Certificate[] = []
  #revoked: ReadonlyMap<string, RevokedCertificate> = new Map()

  constructor(caPem: string, revoked: readonly RevokedCertificate[], now: () => Date) {
    this.#now = now
    this.trust(caPem, revoked)
  }

  /** From now on these authorities and revocations count. Answers how many open calls were ended. */
  trust(caPem: string, revoked: readonly RevokedCertificate[]): number {
    this.#authorities = certificatesIn(caPem).map((pem) => new X509Certificate(pem))
    this.#revoked = new Map(revoked.map((entry) => [plainSerial(entry.serial), entry]))
    this.#seen = new Map()
    let ended = 0
    for (const { bearer, controller } of this.#open) {
      const why = this.whyNot(bearer)
      if (why === undefined) continue
      controller.abort(new HiveError('denied', why))
      ended += 1
    }
    return ended
  }

  /** Why the caller is refused; undefined where it may come in. */
  whyNot(bearer: Bearer): string | undefined {
    if (bearer.certificate === undefined) return 'the connection has no certificate'
    const key = Buffer.from(bearer.certificate).toString('latin1')
    const now = this.#now().getTime()
    const known = this.#seen.get(key)
    if (known !== undefined && (known.why !== undefined || now < known.until)) return known.why
    const found = this.#look(bearer, bearer.certificate, now)
    // Only those who hold a certificate of the CA get this far, so that it stays small.
    this.#seen.set(key, found)
    return found.why
  }

  #look({ name }: Bearer, der: Uint8Array, now: number): { readonly until: number; readonly why: string | undefined } {
    const certificate = new X509Certificate(der)
    const until = Date.parse(certificate.validTo)
    const revoked = this.#revoked.get(plainSerial(certificate.serialNumber))
    if (revoked !== undefined) return { until, why: `the certificate of ${name} was revoked${revoked.reason === '' ? '' : ` (${revoked.reason})`}` }
    if (until <= now) return { until, why: `the certificate of ${name} expired on ${new Date(until).toISOString()}` }
    if (!signedByOneOf(certificate, this.#authorities)) return { until, why: `the certificate of ${name} is of an authority that counts no more` }
    return { until, why: undefined }
  }

  /** The call is ended when its bearer is refused. Answers what must be called when it is over. */
  enter(bearer: Bearer, controller: AbortController): () => void {
    const call = { bearer, controller }
    this.#open.add(call)
    return () => this.#open.delete(call)
  }
}
