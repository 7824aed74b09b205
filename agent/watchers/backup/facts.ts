/** What is known of files and of backups, as it is stored and as it is told. */
import type { StoredFile } from '#gen/hive/v1/backup.ts'
import type { BackupTarget } from '#gen/hive/v1/steps_backup.ts'
import type { BackupRecord } from './records.ts'
import type { BackupFolder, Stored } from './store.ts'

export async function fromFiles(folder: BackupFolder, target: BackupTarget | undefined): Promise<BackupRecord | undefined> {
  if (target === undefined || target.noFile) return undefined
  const latest = await folder.latest(target.name, target.ext)
  const manifest = latest === undefined ? undefined : await folder.manifest(latest)
  if (manifest === undefined || manifest.host === '') return undefined
  return {
    lastSuccess: manifest.finished,
    size: manifest.size,
    sha256: manifest.sha256,
    ...(manifest.proven === undefined ? {} : { provenAt: manifest.proven }),
  }
}

export async function storedFile(folder: BackupFolder, { file, size, at }: Stored, latest: string | undefined): Promise<StoredFile> {
  const manifest = await folder.manifest(file)
  return { file, size: BigInt(size), at, sha256: manifest?.sha256 ?? '', latest: file === latest, proven: dateOf(manifest?.proven) }
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text))

export const toRecord = (record: BackupRecord | undefined) =>
  record === undefined
    ? undefined
    : {
        lastSuccess: dateOf(record.lastSuccess),
        lastFailure: dateOf(record.lastFailure),
        reason: record.reason ?? '',
        size: BigInt(record.size ?? 0),
        proven: dateOf(record.provenAt),
      }
