/** Backups, as whoever makes them has noted them. */
import { readFile } from 'node:fs/promises'
import { HiveError } from '../../../../proto/errors.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf, type Sample } from '../value.ts'

/** Times are ISO 8601. */
interface Noted {
  readonly lastSuccess?: string
  readonly lastFailure?: string
  readonly reason?: string
  /** Bytes of the last good one. */
  readonly size?: number
  /** When it was last restored for a test. */
  readonly provenAt?: string
}

export const backups = (path: string): Collector => ({
  name: 'backups',
  every: 60,
  concerns: ({ repository }) => repository,
  async collect({ now }) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? '{}' : Promise.reject(error)))
    return backupSamples(text, now)
  },
})

/** Throws HiveError 'invalid-input' for what is no JSON object. */
export function backupSamples(text: string, now: number): readonly Sample[] {
  let noted: unknown
  try {
    noted = JSON.parse(text)
  } catch (cause) {
    throw new HiveError('invalid-input', 'the notes on backups are no JSON', { cause })
  }
  const all = Object.entries((typeof noted === 'object' && noted !== null ? noted : {}) as Readonly<Record<string, Noted>>).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    { key: 'hive.backup.discovery', value: discovered(all.map(([name]) => ({ '{#BACKUP}': name }))) },
    ...all.flatMap(([name, one]) => samplesOf(name, one, now)),
  ]
}

function samplesOf(name: string, { lastSuccess, lastFailure, reason = '', size, provenAt }: Noted, now: number): readonly Sample[] {
  const of = (what: string, value: string | number): Sample => ({ key: keyOf(`hive.backup.${what}`, name), value })
  const age = (at: string): number => Math.max(0, Math.round((now - Date.parse(at)) / 1000))
  const failed = lastFailure !== undefined && (lastSuccess === undefined || Date.parse(lastFailure) > Date.parse(lastSuccess))
  return [
    ...(lastSuccess === undefined ? [] : [of('age', age(lastSuccess))]),
    of('failed', failed ? 1 : 0),
    of('reason', failed ? reason : ''),
    ...(size === undefined ? [] : [of('size', size)]),
    of('proven.age', provenAt === undefined ? -1 : age(provenAt)),
  ]
}
