/**
 * The authorities of a stage, as files in CONTEXT_DIR/ca: the one that signs (cacert.pem, cakey.pem, as hive-builder has them), and while
 * the CA is exchanged the other one, with how far that is (rotation.json). A process may be killed between any two writes.
 *
 *   accepting   the old one signs, both are accepted                             next/
 *   switching   the new one takes the place of the old one: these writes are done again by whoever comes next
 *   reissuing   the new one signs, both are accepted                             previous/
 *   dropping    the new one signs, and it alone is accepted                      previous/
 *   done        the new one alone is left
 */
import { X509Certificate } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { certificatesIn, fingerprintOf } from '../../proto/pem.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'

export type RotationState = 'accepting' | 'switching' | 'reissuing' | 'dropping' | 'done'

export interface Rotation {
  readonly state: RotationState
  /** Fingerprints of the old one and of the new one. */
  readonly from: string
  readonly to: string
  /** ISO */
  readonly begun: string
  readonly finished?: string
}

export interface AuthorityPair {
  readonly certificatePem: string
  readonly keyPem: string
}

const rotationStates: readonly string[] = ['accepting', 'switching', 'reissuing', 'dropping', 'done'] satisfies RotationState[]

export class Authorities {
  readonly folder: string

  constructor(contextDir: string) {
    this.folder = join(contextDir, 'ca')
  }

  /** The certificate of the one that signs; undefined while the stage has none. */
  get signing(): string | undefined {
    return this.#read('cacert.pem')
  }

  /** Undefined where the key is not here. */
  get signingKey(): string | undefined {
    return this.#read('cakey.pem')
  }

  /** The one that comes, or the one that goes, while the CA is exchanged. */
  get other(): AuthorityPair | undefined {
    const state = this.rotation?.state
    const sub = state === 'accepting' ? 'next' : state === 'reissuing' || state === 'dropping' ? 'previous' : undefined
    const certificatePem = sub === undefined ? undefined : this.#read(`${sub}/cacert.pem`)
    return sub === undefined || certificatePem === undefined ? undefined : { certificatePem, keyPem: this.#read(`${sub}/cakey.pem`) ?? '' }
  }

  /** All that are accepted, one after the other, the oldest first; undefined while the stage has none. */
  get accepted(): string | undefined {
    const { signing, other, rotation } = this
    if (signing === undefined) return undefined
    if (other === undefined || rotation?.state === 'dropping') return signing
    return bundle([signing, other.certificatePem])
  }

  /** Throws HiveError 'invalid-input' where the file is damaged. */
  get rotation(): Rotation | undefined {
    const text = this.#read('rotation.json')
    if (text === undefined) return undefined
    try {
      const { state, from, to, begun, finished } = JSON.parse(text) as Partial<Rotation>
      if (state !== undefined && rotationStates.includes(state) && from !== undefined && to !== undefined && begun !== undefined)
        return { state, from, to, begun, ...(finished === undefined ? {} : { finished }) }
    } catch {
      // Told below.
    }
    throw new HiveError('invalid-input', `${join(this.folder, 'rotation.json')} is damaged`, { hint: 'put back a copy of the context folder' })
  }

  /** Does again what a process that was killed amid the exchange of the files left half done. */
  heal(): void {
    if (this.rotation?.state === 'switching') this.#finishSwitch()
  }

  /** The new authority is accepted besides the old one from now on. */
  begin({ certificatePem, keyPem }: AuthorityPair, now: Date): void {
    const { signing } = this
    if (signing === undefined) throw new HiveError('not-found', 'the stage has no CA that could be exchanged')
    writeFileAtomic(join(this.folder, 'next/cakey.pem'), keyPem)
    writeFileAtomic(join(this.folder, 'next/cacert.pem'), certificatePem, 0o644)
    this.#write({ state: 'accepting', from: fingerprintOf(signing), to: fingerprintOf(certificatePem), begun: now.toISOString() })
  }

  /** From now on the new one signs. */
  switch(): void {
    const { rotation, signing, signingKey } = this
    if (rotation?.state !== 'accepting') return
    if (signing === undefined || signingKey === undefined) throw new HiveError('not-found', `the CA's key is not in ${this.folder}`)
    writeFileAtomic(join(this.folder, 'previous/cakey.pem'), signingKey)
    writeFileAtomic(join(this.folder, 'previous/cacert.pem'), signing, 0o644)
    this.#write({ ...rotation, state: 'switching' })
    this.#finishSwitch()
  }

  #finishSwitch(): void {
    const { rotation } = this
    const [keyPem, certificatePem] = [this.#read('next/cakey.pem'), this.#read('next/cacert.pem')]
    if (rotation === undefined || keyPem === undefined || certificatePem === undefined)
      throw new HiveError('not-found', `the new CA is not in ${join(this.folder, 'next')}`, { hint: 'put back a copy of the context folder' })
    writeFileAtomic(join(this.folder, 'cakey.pem'), keyPem)
    writeFileAtomic(join(this.folder, 'cacert.pem'), certificatePem, 0o644)
    this.#write({ ...rotation, state: 'reissuing' })
  }

  /** The new one alone is accepted from now on. */
  drop(): void {
    const { rotation } = this
    if (rotation?.state === 'reissuing') this.#write({ ...rotation, state: 'dropping' })
  }

  /** The old one's key is gone when it returns. */
  finish(now: Date): void {
    const { rotation } = this
    if (rotation?.state !== 'dropping') return
    for (const name of ['previous', 'next']) rmSync(join(this.folder, name), { recursive: true, force: true })
    this.#write({ ...rotation, state: 'done', finished: now.toISOString() })
  }

  #read(name: string): string | undefined {
    return readTextIfPresent(join(this.folder, name))
  }

  #write(rotation: Rotation): void {
    writeFileAtomic(join(this.folder, 'rotation.json'), `${JSON.stringify(rotation, null, 2)}\n`)
  }
}

/** Each once, the oldest first: the same bytes whichever of them signs. */
function bundle(pems: readonly string[]): string {
  const since = (pem: string): number => Date.parse(new X509Certificate(pem).validFrom)
  const parts = [...new Map(pems.flatMap(certificatesIn).map((pem) => [fingerprintOf(pem), pem])).entries()]
  return parts
    .sort(([a, one], [b, other]) => since(one) - since(other) || a.localeCompare(b))
    .map(([, pem]) => pem)
    .join('')
}

/** All authorities of a stage that hosts accept, as PEM; '' while it has none. */
export const acceptedAuthorities = (contextDir: string): string => new Authorities(contextDir).accepted ?? ''
