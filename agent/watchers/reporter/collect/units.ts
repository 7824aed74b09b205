/** Units of systemd: those that failed, and those that were restarted. */
import { readFile } from 'node:fs/promises'
import { run } from '../../../adapters/command.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf, type Sample } from '../value.ts'
import { secondsUp } from './system.ts'

/** What `systemctl show` tells of a unit. */
export interface ShownUnit {
  readonly name: string
  readonly type: string
  readonly active: string
  /** enabled, disabled, static … */
  readonly file: string
  /** Seconds of the machine's monotonic clock; 0: never. */
  readonly activeSince: number
}

export const shownProperties = 'Id,Type,ActiveState,UnitFileState,ActiveEnterTimestampMonotonic'
/** Kinds of units that can fail and matter. */
export const shownPatterns = ['*.service', '*.socket', '*.mount', '*.timer', '*.path', '*.swap']

/** Seconds. */
const restartTime = 180
/** Seconds after a boot in which every start is part of it. */
const bootTime = 600

export const units: Collector = {
  name: 'units of systemd',
  every: 60,
  async collect({ configuration, signal }) {
    const [{ stdout }, uptime, first] = await Promise.all([
      run(['systemctl', 'show', '--no-pager', `--property=${shownProperties}`, '--', ...shownPatterns], { readOnly: true, timeout: 14_000, signal }),
      readFile('/proc/uptime', 'utf8'),
      readFile('/proc/1/stat', 'utf8'),
    ])
    return unitSamples(parseShown(stdout), configuration.ignoredUnits, Number(uptime.split(' ')[0]), secondsUp(uptime, first))
  },
}

/** `clock`: of the machine, in seconds, as the units' times are. */
export function unitSamples(all: readonly ShownUnit[], ignored: readonly string[], clock: number, hostUptime: number): readonly Sample[] {
  const heeded = all.filter(({ name }) => !isIgnored(name, ignored))
  const failed = failedOf(heeded)
  const lasting = heeded.filter(staysUp)
  return [
    { key: 'hive.units.failed.count', value: failed.length },
    { key: 'hive.units.failed', value: failed.join(' ') },
    { key: 'hive.unit.discovery', value: discovered(lasting.map(({ name }) => ({ '{#UNIT}': shortName(name) }))) },
    ...lasting.map((unit) => ({
      key: keyOf('hive.unit.restarted', shortName(unit.name)),
      value: hostUptime >= bootTime && unit.activeSince > 0 && clock - unit.activeSince < restartTime ? 1 : 0,
    })),
  ]
}

/** Blocks of KEY=VALUE, with an empty line between. */
export const parseShown = (text: string): readonly ShownUnit[] =>
  text.split('\n\n').flatMap((block) => {
    const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
    const name = fields.get('Id') ?? ''
    if (name === '') return []
    return [
      {
        name,
        type: fields.get('Type') ?? '',
        active: fields.get('ActiveState') ?? '',
        file: fields.get('UnitFileState') ?? '',
        activeSince: Number(fields.get('ActiveEnterTimestampMonotonic') ?? 0) / 1_000_000,
      },
    ]
  })

export const failedOf = (all: readonly ShownUnit[]): readonly string[] => all.filter(({ active }) => active === 'failed').map(({ name }) => name)

/** Starts with the host, or the container, and stays; those that run once or by D-Bus come and go. */
export const staysUp = ({ name, type, file }: ShownUnit): boolean =>
  name.endsWith('.service') && !/@\.service$/.test(name) && file.startsWith('enabled') && type !== 'oneshot' && type !== 'dbus'

export const shortName = (name: string): string => name.replace(/\.service$/, '')

export function isIgnored(name: string, patterns: readonly string[]): boolean {
  const short = shortName(name)
  return patterns.some((pattern) => new RegExp(`^${pattern.replaceAll(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*')}$`).test(short))
}
