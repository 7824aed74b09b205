/** A user's authorized_keys: keys are added, those of others stay. */
import * as fs from 'node:fs/promises'
import path from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import type { Passwd } from './accounts.ts'
import { ensureFolder, readText, writeFileAtomic } from './files.ts'

const algorithm = /^(ssh-|ecdsa-|sk-)\S+$/

/** Type and key of a line of authorized_keys, without options and comment; undefined for a comment or an empty line. */
export function keyOf(line: string): string | undefined {
  if (line.trim().startsWith('#')) return undefined
  const words = line.trim().split(/\s+/)
  const at = words.findIndex((word) => algorithm.test(word))
  const key = words[at + 1]
  return at === -1 || key === undefined ? undefined : `${words[at]} ${key}`
}

/** The lines of `wanted` whose key `text` does not have; a key with other options or another comment counts as there. */
export function missingKeys(text: string, wanted: readonly string[]): string[] {
  const present = new Set(text.split('\n').map(keyOf))
  const missing: string[] = []
  for (const line of wanted) {
    const key = keyOf(line)
    if (key === undefined) throw new HiveError('invalid-input', `"${line.slice(0, 40)}" is no public ssh key`)
    if (!present.has(key)) missing.push(line.trim())
    present.add(key)
  }
  return missing
}

const fileOf = (user: Passwd): string => path.join(user.home, '.ssh', 'authorized_keys')

export const missingKeysOf = async (user: Passwd, wanted: readonly string[]): Promise<string[]> =>
  wanted.length === 0 ? [] : missingKeys(await readText(fileOf(user)), wanted)

/** Adds what is missing. Throws 'blocked' where the user made a link of the file or its folder: root would write elsewhere. */
export async function addKeys(user: Passwd, wanted: readonly string[]): Promise<void> {
  const file = fileOf(user)
  const folder = path.dirname(file)
  for (const place of [folder, file]) {
    const stat = await fs.lstat(place).catch(() => undefined)
    if (stat?.isSymbolicLink() === true) throw new HiveError('blocked', `${place} is a symbolic link`, { hint: 'replace it by what it points to' })
  }
  const text = await readText(file)
  const missing = missingKeys(text, wanted)
  if (missing.length === 0) return
  await ensureFolder(folder, { mode: 0o700, uid: user.uid, gid: user.gid })
  const lines = text === '' || text.endsWith('\n') ? text : `${text}\n`
  await writeFileAtomic(file, `${lines}${missing.join('\n')}\n`, { mode: 0o600, uid: user.uid, gid: user.gid })
}
