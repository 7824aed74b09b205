/** A unit brought to a state: enabled or not, running or not, and running with the configuration that is on disk. */
import { HiveError } from '../../proto/errors.ts'
import { daemonReload, firstUnit, look, noteRead, resetFailed, systemctl, type UnitStatus, unitStatus, unreadBy } from './systemd.ts'

export interface WantedUnit {
  /** The unit's name, then names it has on other systems. */
  readonly names: readonly [string, ...string[]]
  readonly enabled: boolean | undefined
  readonly state: 'started' | 'stopped' | 'any'
  readonly watchFiles: readonly string[]
  readonly reload: boolean
}

export interface UnitDifference {
  readonly unit: UnitStatus
  /** What is to be done, in words; empty: nothing. */
  readonly reasons: readonly string[]
  readonly daemonReload: boolean
  readonly enable: boolean | undefined
  readonly action: 'start' | 'stop' | 'restart' | 'reload' | undefined
}

const enabledStates = new Set(['enabled', 'enabled-runtime', 'linked', 'alias'])
/** Units that can't be enabled or disabled: nothing to do about it. */
const fixedStates = new Set(['static', 'indirect', 'generated', 'transient'])

/** Pure: what there is to do for a unit in this status. */
export function unitDifference(wanted: WantedUnit, unit: UnitStatus, unread: readonly string[]): UnitDifference {
  const reasons: string[] = []
  const isEnabled = enabledStates.has(unit.file)
  const enable = wanted.enabled === undefined || wanted.enabled === isEnabled || fixedStates.has(unit.file) ? undefined : wanted.enabled
  if (enable !== undefined) reasons.push(enable ? 'is not enabled' : 'is enabled')
  if (unit.needsDaemonReload) reasons.push('systemd has not read its changed unit files')
  const runs = unit.active === 'active' || unit.active === 'reloading'
  let action: UnitDifference['action']
  if (wanted.state === 'stopped') {
    if (unit.active !== 'inactive' && unit.active !== 'failed') {
      action = 'stop'
      reasons.push(`is ${unit.active}`)
    }
  } else if (wanted.state === 'started' && !runs) {
    action = 'start'
    reasons.push(`is ${unit.active}`)
  } else if (runs && (unread.length > 0 || unit.needsDaemonReload)) {
    action = wanted.reload && !unit.needsDaemonReload ? 'reload' : 'restart'
    if (unread.length > 0) reasons.push(`runs without ${unread.join(', ')}`)
  }
  return { unit, reasons, daemonReload: unit.needsDaemonReload, enable, action }
}

export async function compareUnit(wanted: WantedUnit): Promise<UnitDifference> {
  const unit = await firstUnit(wanted.names)
  return unitDifference(wanted, unit, unit.load === 'not-found' ? [] : await unreadBy(unit, wanted.watchFiles))
}

/** Does what is to be done. Throws 'not-found' where the host has no such unit, 'blocked' where it is masked. */
export async function applyUnit(wanted: WantedUnit, signal: AbortSignal): Promise<void> {
  const first = await firstUnit(wanted.names)
  // Unit files that came with a package just now may not be read yet.
  if (first.load === 'not-found') await daemonReload(signal)
  const difference = await compareUnit(wanted)
  const name = difference.unit.name === '' ? wanted.names[0] : difference.unit.name
  if (difference.unit.load === 'not-found') throw new HiveError('not-found', `this host has no unit ${wanted.names.join(' or ')}`)
  if (difference.unit.load === 'masked' && wanted.state === 'started')
    throw new HiveError('blocked', `${name} is masked`, { hint: `systemctl unmask ${name}, if it shall run` })
  if (difference.daemonReload) await daemonReload(signal)
  if (difference.enable !== undefined) await systemctl(difference.enable ? 'enable' : 'disable', name, signal)
  if (difference.action === undefined) return
  const { watched } = await look(wanted.watchFiles)
  if (difference.action === 'start') await resetFailed(name, signal)
  await systemctl(difference.action === 'reload' ? 'reload-or-restart' : difference.action, name, signal)
  if (difference.action !== 'stop' && watched.length > 0) await noteRead(await unitStatus(name), watched)
}
