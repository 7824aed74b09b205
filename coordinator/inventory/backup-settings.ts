/** When the repository server backs up, and where copies go: variables of that server. */
import type { Converter } from './convert.ts'
import { describe, isMapping } from './mapping.ts'
import type { BackupSettings } from './site.ts'
import { didYouMean } from './suggest.ts'

const timeVariable = 'hive_backup_time'
const resticVariable = 'hive_backup_restic'
const resticKeys = ['repository', 'password', 'environment', 'keep']
export const keptUnits = ['last', 'daily', 'weekly', 'monthly', 'yearly']
const defaultTime = '01:00'

export const backupSettings = (read: Converter): BackupSettings => ({ at: timeOf(read), restic: resticOf(read) })

/** Without quotes YAML reads 01:30 as a number of base 60: 90. */
function timeOf(read: Converter): string {
  const value = read.value(timeVariable)
  if (value === undefined) return defaultTime
  const minutes = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 24 * 60 ? value : undefined
  const text = minutes === undefined ? String(value) : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`
  const [, hour, minute] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  if (hour !== undefined && minute !== undefined) return `${hour.padStart(2, '0')}:${minute}`
  read.wrong(timeVariable, `${describe(value)} is no time of day`, 'write it as "01:00"')
  return defaultTime
}

function resticOf(read: Converter): BackupSettings['restic'] {
  const value = read.mapping(resticVariable)
  if (value === undefined) return undefined
  for (const key of Object.keys(value)) {
    if (!resticKeys.includes(key)) read.wrong(resticVariable, `there is no '${key}'`, didYouMean(key, resticKeys), read.within(resticVariable, key))
  }
  const text = (key: string): string => {
    const given = value[key]
    if (typeof given === 'string' && given !== '') return given
    if (given === undefined || given === null || given === '') return read.wrong(resticVariable, `'${key}' is missing`, `add ${key}:`) ?? ''
    return String(given)
  }
  const { environment = {}, keep = {} } = value
  const numbers: Record<string, number> = {}
  if (!isMapping(keep))
    read.wrong(resticVariable, `keep must be a mapping, but is ${describe(keep)}`, 'write keep: {daily: 7, weekly: 5}', read.within(resticVariable, 'keep'))
  else
    for (const [unit, count] of Object.entries(keep)) {
      const at = read.within(resticVariable, 'keep', unit)
      if (!keptUnits.includes(unit)) read.wrong(resticVariable, `keep has no '${unit}'`, `there are ${keptUnits.join(', ')}`, at)
      else if (!Number.isInteger(Number(count)) || Number(count) < 1) read.wrong(resticVariable, `keep.${unit} must be a whole number from 1 on`, undefined, at)
      else numbers[unit] = Number(count)
    }
  if (!isMapping(environment))
    read.wrong(resticVariable, `environment must be a mapping, but is ${describe(environment)}`, undefined, read.within(resticVariable, 'environment'))
  const variables = isMapping(environment) ? Object.entries(environment).map(([name, given]) => [name, String(given ?? '')] as const) : []
  return { repository: text('repository'), password: text('password'), environment: Object.fromEntries(variables), keep: numbers }
}
