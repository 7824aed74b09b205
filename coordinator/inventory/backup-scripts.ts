import { type Converter, textOf } from './convert.ts'
import { describe, isMapping } from './mapping.ts'
import type { BackupScript } from './site.ts'

const names = [
  'name',
  'directory',
  'backup_command',
  'backup_file',
  'restore_command',
  'restore_file',
  'ext',
  'cleanup_days_before',
  'batch_scripts',
  'drill_command',
] as const
export type BackupScriptKey = (typeof names)[number]
const keys: readonly string[] = names

/** `backup_scripts` of a service. Keys that mean nothing are told and ignored, as sites carry them. */
export const backupScriptsOf = (read: Converter): readonly BackupScript[] =>
  read.list('hive_backup_scripts').flatMap((script, index): BackupScript[] => {
    if (!isMapping(script)) {
      read.wrong('hive_backup_scripts', `entry ${index + 1} must be a mapping, but is ${describe(script)}`, 'write {name: …, directory: …}')
      return []
    }
    for (const key of Object.keys(script)) if (!keys.includes(key)) read.notice('hive_backup_scripts', `the key '${key}' means nothing and is ignored`)
    const at = (key: string) => read.within('hive_backup_scripts', index, key)
    const text = (key: string): string | undefined => {
      const value = script[key]
      return value === undefined || value === null ? undefined : textOf(value)
    }
    const name = text('name')
    if (name === undefined) {
      read.wrong('hive_backup_scripts', `entry ${index + 1} has no name`, 'add name: it becomes a part of the backup file name')
      return []
    }
    // It becomes a part of a file name, beside others.
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
      read.wrong('hive_backup_scripts', `'${name}' can't be part of a file name`, 'use letters, digits, _, - and .', at('name'))
    const ext = text('ext') ?? 'tar.gz'
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(ext))
      read.wrong('hive_backup_scripts', `the ext '${ext}' of '${name}' can't be part of a file name`, 'write it as sql.gz', at('ext'))
    const directory = text('directory')
    if (directory !== undefined && !/^\/./.test(directory.replace(/\/+$/, '')))
      read.wrong(
        'hive_backup_scripts',
        `the directory '${directory}' of '${name}' is no folder in the container`,
        'write an absolute path; / as a whole is none',
        at('directory'),
      )
    for (const key of ['backup_file', 'restore_file']) {
      const file = text(key)
      if (file !== undefined && !file.startsWith('/'))
        read.wrong('hive_backup_scripts', `${key} of '${name}' must be an absolute path, but is '${file}'`, undefined, at(key))
    }
    if (directory === undefined && text('backup_command') === undefined && script['batch_scripts'] === undefined) {
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
        directory,
        backupCommand: text('backup_command'),
        backupFile: text('backup_file'),
        restoreCommand: text('restore_command'),
        restoreFile: text('restore_file'),
        ext,
        cleanupDaysBefore: days === undefined || days === null ? undefined : Number(days),
        drillCommand: text('drill_command'),
        batchScripts: Array.isArray(batch) ? batch.map(textOf) : batch === undefined || batch === null ? [] : [textOf(batch)],
      },
    ]
  })
