/** When each backup last succeeded and failed, for whoever reports it: backups.json in the agent's state folder. */
import { readFile } from 'node:fs/promises'
import { writeWhole } from '../../runs/state-file.ts'

export interface BackupRecord {
  /** ISO 8601; absent: never yet. */
  readonly lastSuccess?: string
  /** Absent: none since the last success. */
  readonly lastFailure?: string
  readonly reason?: string
  readonly size?: number
  readonly sha256?: string
  /** When a drill last restored it. */
  readonly provenAt?: string
}

export type BackupRecords = Readonly<Record<string, BackupRecord>>

/** The name under which copies elsewhere are told. */
export const offsiteName = 'hive-offsite'

export const succeeded = (before: BackupRecord | undefined, at: Date, size: number, sha256: string): BackupRecord => ({
  lastSuccess: at.toISOString(),
  size,
  sha256,
  ...(before?.provenAt === undefined ? {} : { provenAt: before.provenAt }),
})

export const failed = (before: BackupRecord | undefined, at: Date, reason: string): BackupRecord => ({ ...before, lastFailure: at.toISOString(), reason })

export async function readRecords(path: string): Promise<BackupRecords> {
  try {
    const read: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof read === 'object' && read !== null ? (read as BackupRecords) : {}
  } catch (error) {
    // What can't be read is found again by the next run.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

export const writeRecords = (path: string, records: BackupRecords): Promise<void> => writeWhole(path, `${JSON.stringify(records, undefined, 1)}\n`)
