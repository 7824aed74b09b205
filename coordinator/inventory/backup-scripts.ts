import { type Converter, textOf } from './convert.ts'
import { describe, isMapping } from './mapping.ts'
import type { BackupScript } from './site.ts'

const keys = ['name', 'directory', 'backup_command', 'backup_file', 'restore_command', 'restore_file', 'ext', 'cleanup_days_before', 'batch_scripts']

/** `backup_scripts` of a service. Keys that mean nothing are told and ignored, as sites carry them. */
export const backupScriptsOf = (read: Converter): readonly BackupScript[] =>
  read.list('hive_backup_scripts').flatMap((script, index): BackupScript[] => {
    if (!isMapping(script)) {
      read.wrong('hive_backup_scripts', `entry ${index + 1} must be a mapping, but is ${describe(script)}`, 'write {name: …, directory: …}')
      return []
    }
    for (const key of Object.keys(script)) if (!keys.includes(key)) read.notice('hive_backup_scripts', `the key '${key}' means nothing and is ignored`)
    const text = (key: string): string | undefined => {
      const value = script[key]
      return value === undefined || value === null ? undefined : textOf(value)
    }
    const name = text('name')
    if (name === undefined) {
      read.wrong('hive_backup_scripts', `entry ${index + 1} has no name`, 'add name: it becomes a part of the backup file name')
      return []
    }
    if (text('directory') === undefined && text('backup_command') === undefined && script['batch_scripts'] === undefined) {
      read.wrong('hive_backup_scripts', `'${name}' says nothing to back up`, 'add directory: or backup_command:')
    }
    const days = script['cleanup_days_before']
    if (days !== undefined && days !== null && !/^\d+$/.test(textOf(days))) {
      read.wrong('hive_backup_scripts', `cleanup_days_before of '${name}' must be a whole number, but is ${describe(days)}`)
    }
    const batch = script['batch_scripts']
    return [
      {
        name,
        directory: text('directory'),
        backupCommand: text('backup_command'),
        backupFile: text('backup_file'),
        restoreCommand: text('restore_command'),
        restoreFile: text('restore_file'),
        ext: text('ext') ?? 'tar.gz',
        cleanupDaysBefore: days === undefined || days === null ? undefined : Number(days),
        batchScripts: Array.isArray(batch) ? batch.map(textOf) : batch === undefined || batch === null ? [] : [textOf(batch)],
      },
    ]
  })
