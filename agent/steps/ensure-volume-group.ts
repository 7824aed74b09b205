import type { EnsureVolumeGroup } from '#gen/hive/v1/steps_storage.ts'
import { blocked, type Executor } from './executor.ts'

export const ensureVolumeGroup: Executor<EnsureVolumeGroup> = {
  check: () => Promise.resolve(blocked('this agent cannot do that yet')),
  apply: () => Promise.resolve(),
}
