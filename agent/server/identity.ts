/** What this agent is: its version and the digest of its own binary. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { isSea } from 'node:sea'

declare const HIVE_VERSION: string | undefined

/** Set when the binary is built. */
export const version: string = typeof HIVE_VERSION === 'string' ? HIVE_VERSION : '0.0.0-source'

let digest: Promise<string> | undefined

/** SHA-256 of the running executable in hex; "" when run from source. Read once, which takes about 0.3 s. */
export function binarySha256(): Promise<string> {
  digest ??= isSea() ? hashOf('/proc/self/exe') : Promise.resolve('')
  return digest
}

/** Through one small buffer: a stream's many would stay in the agent's memory. */
async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(256 * 1024)
  const file = await open(path, 'r')
  try {
    for (let { bytesRead } = await file.read(buffer); bytesRead > 0; bytesRead = (await file.read(buffer)).bytesRead) hash.update(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}
