import path from 'node:path'
import type { EnsureLogRules } from '#gen/hive/v1/steps_logs.ts'
import { HiveError } from '../../proto/errors.ts'
import { logConfig, logRuleFolder, logRuleList, logUnit } from '../../proto/log-files.ts'
import { readFileState } from '../adapters/files.ts'
import { lineDiff } from '../adapters/line-diff.ts'
import { compareRules, rulePlaces, writeRules } from '../adapters/log-rules.ts'
import { applyUnit, compareUnit, type WantedUnit } from '../adapters/unit-state.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

/** rsyslog reads its configuration when it starts only. */
const unit: WantedUnit = { names: [logUnit], enabled: undefined, state: 'started', watchFiles: [logRuleList], reload: false }

const isCollected = async (): Promise<boolean> => (await readFileState(logConfig)) !== undefined

export const ensureLogRules: Executor<EnsureLogRules> = {
  exclusive: () => `unit:${logUnit}`,

  async check(spec) {
    if (!(await isCollected())) return spec.rules.length === 0 ? ok : change('logs are not collected on this host yet', '', 'run `hivecoord setup-hosts` first')
    const { writes, removals, listDiffers } = await compareRules(spec, rulePlaces())
    const { unit: status, reasons } = await compareUnit(unit)
    const restart = status.load === 'not-found' ? [] : reasons.map((reason) => `${logUnit} ${reason}`)
    if (writes.length === 0 && removals.length === 0 && !listDiffers && restart.length === 0) return ok
    const told = [
      ...writes.map(({ rule, before }) => `the rule of ${rule.service} ${before === '' ? 'is not there' : 'is another one'}`),
      ...removals.map((name) => `${path.join(logRuleFolder, name)} must not be there`),
      ...restart,
    ]
    const shown = [
      ...writes.map(({ rule, before }) => `${rule.service}:\n${lineDiff(before, rule.content)}`),
      ...removals.map((name) => `remove ${path.join(logRuleFolder, name)}`),
    ]
    return change(told.length === 0 ? `${logUnit} has not read its rules` : told.join('; '), '', shown.join('\n'))
  },

  async apply(spec, context) {
    if (!(await isCollected())) {
      if (spec.rules.length === 0) return
      throw new HiveError('blocked', 'logs are not collected on this host', { hint: 'run hivecoord setup-hosts first' })
    }
    const places = rulePlaces()
    const refused = await writeRules(await compareRules(spec, places), places, context.signal)
    await applyUnit(unit, context.signal)
    if (refused.length > 0)
      throw new HiveError('invalid-input', `rsyslog refuses what is to be looked for in logs; all other rules count: ${refused.join('; ')}`, {
        hint: 'correct monitor_error or ignore_error: POSIX extended regular expressions',
      })
  },

  async verify(spec, context) {
    const outcome = await ensureLogRules.check(spec, context)
    return outcome.kind === 'change' ? blocked(outcome.reason, `journalctl -u ${logUnit}`) : outcome
  },
}
