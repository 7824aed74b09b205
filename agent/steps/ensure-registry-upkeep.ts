import type { EnsureRegistryUpkeep } from '#gen/hive/v1/steps_registry.ts'
import { settingsFit, settingsPath, writeSettings } from '../adapters/registry/settings.ts'
import { change, type Executor, ok } from './executor.ts'

/** The upkeep takes notice of the file by itself (agent/watchers/registry-upkeep.ts). */
export const ensureRegistryUpkeep: Executor<EnsureRegistryUpkeep> = {
  exclusive: () => `file:${settingsPath}`,

  async check(spec) {
    if (await settingsFit(spec)) return ok
    return change(`${settingsPath} differs`, '', spec.at === '' ? `keeps ${spec.keep} builds, by command` : `keeps ${spec.keep} builds, tidies at ${spec.at}`)
  },

  apply: (spec) => writeSettings(spec),
}
