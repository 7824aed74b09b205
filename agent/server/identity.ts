/** What this agent is: its version and the digest of its own binary. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { isSea } from 'node:sea'
import { pipeline } from 'node:stream/promises'

declare const HIVE_VERSION: string | undefined

/** Set when the binary is built. */
export const version: string = typeof HIVE_VERSION === 'string' ? HIVE_VERSION : '0.0.0-source'

let digest: Promise<string> | undefined

/** SHA-256 of the running executable in hex; "" when run from source. Read once, which takes about 0.3 s. */
export function binarySha256(): Promise<string> {
  digest ??= isSea() ? hashOf('/proc/self/exe') : Promise.resolve('')
  return digest
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return hash.digest('hex')
}
