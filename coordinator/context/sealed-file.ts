/**
 * A file that only a passphrase opens. First a line of text, then what it says:
 *
 *   hive-context 1 {"stage": …, "cipher": "aes-256-gcm", "kdf": "scrypt", "n": …, "r": …, "p": …, "salt": BASE64, "nonce": BASE64}\n
 *   ciphertext, and GCM's tag of 16 bytes, which covers the line too
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { HiveError } from '../../proto/errors.ts'

const magic = 'hive-context'
const version = 1
/** Of scrypt: 128 MiB and some tenths of a second for each passphrase that is tried. */
const usualCost = { n: 2 ** 17, r: 8, p: 1 } as const
/** What a file may ask of whoever opens it. */
const mostMemory = 1024 * 1024 * 1024
const tagBytes = 16

/** In clear text: what must be known before it is opened. */
export interface SealedAbout {
  readonly stage: string
  /** The site's CA, so that two sites are not mistaken for each other; '' for none. */
  readonly ca: string
  /** USER@HOST and ISO time. */
  readonly by: string
  readonly at: string
}

interface Parameters {
  readonly cipher: string
  readonly kdf: string
  readonly n: number
  readonly r: number
  readonly p: number
  readonly salt: string
  readonly nonce: string
}

/** `cost`: for tests. */
export async function seal(
  content: Uint8Array,
  passphrase: string,
  about: SealedAbout,
  cost: { readonly n: number; readonly r: number; readonly p: number } = usualCost,
): Promise<Buffer> {
  const [salt, nonce] = [randomBytes(16), randomBytes(12)]
  const parameters: Parameters = { cipher: 'aes-256-gcm', kdf: 'scrypt', ...cost, salt: salt.toString('base64'), nonce: nonce.toString('base64') }
  const header = Buffer.from(`${magic} ${version} ${JSON.stringify({ ...about, ...parameters })}\n`)
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, parameters), nonce, { authTagLength: tagBytes })
  cipher.setAAD(header)
  return Buffer.concat([header, cipher.update(content), cipher.final(), cipher.getAuthTag()])
}

/** Throws HiveError 'invalid-input' where it is no such file, 'unsupported' where a newer version wrote it. */
export function aboutOf(sealed: Buffer): SealedAbout {
  return split(sealed).about
}

/** Throws as `aboutOf` does, and HiveError 'denied' where the passphrase is another one or the file was changed. */
export async function unseal(sealed: Buffer, passphrase: string): Promise<Buffer> {
  const { header, parameters, rest } = split(sealed)
  const decipher = createDecipheriv('aes-256-gcm', await keyOf(passphrase, parameters), Buffer.from(parameters.nonce, 'base64'), { authTagLength: tagBytes })
  decipher.setAAD(header)
  decipher.setAuthTag(rest.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(rest.subarray(0, -tagBytes)), decipher.final()])
  } catch (cause) {
    throw new HiveError('denied', 'the passphrase is another one, or the file was changed', { cause })
  }
}

function split(sealed: Buffer): { readonly header: Buffer; readonly about: SealedAbout; readonly parameters: Parameters; readonly rest: Buffer } {
  const no = (why: string, cause?: unknown): HiveError =>
    new HiveError('invalid-input', `this is no exported context: ${why}`, { hint: '`hivecoord context export` writes one', cause })
  const end = sealed.subarray(0, 4096).indexOf('\n')
  const [, named, json = ''] = /^hive-context (\d+) (\{.*\})$/.exec(sealed.toString('utf8', 0, Math.max(0, end))) ?? []
  if (named === undefined) throw no('it does not begin as one')
  if (Number(named) !== version)
    throw new HiveError('unsupported', `this context was exported in form ${named}, and form ${version} is what can be read here`, {
      hint: 'use the version that exported it',
    })
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(json) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw no('its first line is damaged', cause)
  }
  const text = (name: string): string => {
    const value = fields[name]
    if (typeof value !== 'string') throw no(`${name} is missing`)
    return value
  }
  const number = (name: string): number => {
    const value = fields[name]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) throw no(`${name} is missing`)
    return value
  }
  const parameters = { cipher: text('cipher'), kdf: text('kdf'), n: number('n'), r: number('r'), p: number('p'), salt: text('salt'), nonce: text('nonce') }
  const { cipher, kdf, n, r, p, nonce } = parameters
  const rest = sealed.subarray(end + 1)
  if (cipher !== 'aes-256-gcm' || kdf !== 'scrypt') throw no(`${cipher} and ${kdf} are not known`)
  if (n > 2 ** 24 || 128 * n * r > mostMemory || r > 64 || p > 16 || Buffer.from(nonce, 'base64').length !== 12 || (n & (n - 1)) !== 0 || n < 2)
    throw no('it asks for too much')
  if (rest.length < tagBytes) throw no('it was cut short')
  const about = { stage: text('stage'), ca: text('ca'), by: text('by'), at: text('at') }
  return { header: sealed.subarray(0, end + 1), about, parameters, rest }
}

const keyOf = (passphrase: string, { n, r, p, salt }: Parameters): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), Buffer.from(salt, 'base64'), 32, { N: n, r, p, maxmem: 2 * 128 * n * r + 1024 * 1024 }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
