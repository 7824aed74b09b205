import { Disruption } from '#gen/hive/v1/step.ts'
import { type EnsureUnit, UnitState } from '#gen/hive/v1/steps_host.ts'
import { applyUnit, compareUnit, type WantedUnit } from '../adapters/unit-state.ts'
import { change, type Executor, ok } from './executor.ts'

const wantedOf = (spec: EnsureUnit): WantedUnit => ({
  names: [spec.name, ...spec.aliases],
  enabled: spec.enabled,
  state: spec.state === UnitState.STARTED ? 'started' : spec.state === UnitState.STOPPED ? 'stopped' : 'any',
  watchFiles: spec.watchFiles,
  reload: spec.reload,
})

/** A unit that is not there counts as one to come (a step before brings its package), except where it is optional. */
export const ensureUnit: Executor<EnsureUnit> = {
  exclusive: (spec) => `unit:${spec.name}`,

  async check(spec) {
    const { unit, reasons, action } = await compareUnit(wantedOf(spec))
    if (unit.load === 'not-found') return spec.optional ? ok : change(`${spec.name} is not on this host yet`, 'no such unit', describe(spec))
    if (reasons.length === 0) return ok
    const disruption = action === 'restart' || action === 'stop' ? Disruption.RESTART : Disruption.UNSPECIFIED
    return change(`${unit.name} ${reasons.join(', ')}`, `${unit.active}, ${unit.file}`, describe(spec, action), disruption)
  },

  async apply(spec, context) {
    const wanted = wantedOf(spec)
    if (spec.optional && (await compareUnit(wanted)).unit.load === 'not-found') return
    await applyUnit(wanted, context.signal)
  },
}

function describe(spec: EnsureUnit, action?: string): string {
  const words = [
    spec.state === UnitState.STARTED ? 'active' : spec.state === UnitState.STOPPED ? 'inactive' : undefined,
    spec.enabled === undefined ? undefined : spec.enabled ? 'enabled' : 'disabled',
    action === 'restart' ? 'restarted' : action === 'reload' ? 'reloaded' : undefined,
  ]
  return words.filter((word) => word !== undefined).join(', ')
}
