import type { EnsureDrbdVolume } from '#gen/hive/v1/steps_storage.ts'
import { blocked, type Executor } from './executor.ts'

export const ensureDrbdVolume: Executor<EnsureDrbdVolume> = {
  check: () => Promise.resolve(blocked('this agent cannot do that yet')),
  apply: () => Promise.resolve(),
}
