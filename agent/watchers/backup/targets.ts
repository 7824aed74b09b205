/** Which backups are meant by names. Pure. */
import type { BackupSchedule, BackupScript, BackupTarget, EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../../proto/errors.ts'

export function chosen({ targets }: BackupSchedule, names: readonly string[]): readonly BackupTarget[] {
  const unknown = names.filter((name) => !targets.some((target) => target.name === name || target.service === name))
  if (unknown.length > 0)
    throw new HiveError('not-found', `no backup belongs to ${unknown.join(', ')}`, {
      hint: `there are ${targets.map(({ name, service }) => (service === '' ? name : `${name} (${service})`)).join(', ')}`,
    })
  return names.length === 0 ? targets : targets.filter((target) => names.includes(target.name) || (target.service !== '' && names.includes(target.service)))
}

export function one(schedule: BackupSchedule, name: string): BackupTarget {
  const found = chosen(schedule, [name])
  const [only] = found.length > 1 ? found.filter((target) => target.name === name) : found
  if (only === undefined)
    throw new HiveError('invalid-input', `${name} has several backups`, { hint: `name one: ${found.map((target) => target.name).join(', ')}` })
  if (only.noFile) throw new HiveError('unsupported', `${name} consists of batch scripts: there is no file of it`)
  return only
}

export function ownScript({ scripts }: EnsureBackups, { name }: BackupTarget): BackupScript {
  const script = scripts.find((candidate) => candidate.service === '' && candidate.name === name)
  if (script === undefined) throw new HiveError('not-found', `this host was not told how ${name} is dumped`, { hint: 'hivecoord setup-hosts tells it' })
  return script
}
