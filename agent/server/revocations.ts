/** Certificates that this host refuses: PKI/revoked.json, a list that only grows, but for those that have expired by themselves. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RevokedCertificate } from '#gen/hive/v1/trust.ts'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import { writeWhole } from '../runs/state-file.ts'

const fileName = 'revoked.json'

/** As JSON has it. */
type Kept = { readonly serial: string } & Partial<Record<'name' | 'role' | 'at' | 'expires' | 'reason', string>>

const dateOf = (text: string | undefined): Date | undefined => {
  if (text === undefined) return undefined
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) throw new Error(`"${text}" is no time`)
  return date
}

/** Throws HiveError 'conflict' where the file is damaged: who would be let in is not guessed. */
export async function readRevoked(folder: string): Promise<readonly RevokedCertificate[]> {
  const path = join(folder, fileName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  try {
    return (JSON.parse(text) as Kept[]).map(({ serial, name = '', role = '', at, expires, reason = '' }) => {
      if (typeof serial !== 'string') throw new Error('an entry has no serial')
      return { serial, name, role, at: dateOf(at), expires: dateOf(expires), reason }
    })
  } catch (cause) {
    throw new HiveError('conflict', `${path} is damaged`, { hint: 'remove it, and `hivecoord deploy` writes it anew', cause })
  }
}

/** Those of `wanted` that are not refused yet, and have not expired. Pure. */
export function notYetRefused(present: readonly RevokedCertificate[], wanted: readonly RevokedCertificate[], now: Date): readonly RevokedCertificate[] {
  const known = new Set(present.map(({ serial }) => plainSerial(serial)))
  return wanted.filter((entry) => lives(entry, now) && !known.has(plainSerial(entry.serial)))
}

let writing: Promise<void> = Promise.resolve()

/** Adds to what is refused; on disk when it returns. Throws HiveError 'invalid-input' for a serial that is none. */
export function refuse(folder: string, wanted: readonly RevokedCertificate[], now: Date): Promise<void> {
  const mine = writing.then(() => add(folder, wanted, now))
  writing = mine.catch(() => undefined)
  return mine
}

async function add(folder: string, wanted: readonly RevokedCertificate[], now: Date): Promise<void> {
  for (const { serial } of wanted)
    if (!/^[0-9a-f]{1,40}$/.test(plainSerial(serial))) throw new HiveError('invalid-input', `"${serial}" is no serial number of a certificate`)
  const present = await readRevoked(folder)
  const more = notYetRefused(present, wanted, now)
  if (more.length === 0) return
  const all = [...present.filter((entry) => lives(entry, now)), ...more]
  await writeWhole(join(folder, fileName), `${JSON.stringify(all, null, 1)}\n`, 0o644)
}

/** Its certificate has not expired by itself. One that has no end counts for good. */
export const lives = ({ expires }: RevokedCertificate, now: Date): boolean => expires === undefined || expires > now
