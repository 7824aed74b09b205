/** Recorded outputs of DRBD 9.3.3: STATE/HOST[/SUBSTATE]. */
import { readFileSync } from 'node:fs'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../../agent/adapters/drbd/status.ts'

export const recordedText = (path: string): string => readFileSync(new URL(`../../../fixtures/drbd9/${path}`, import.meta.url), 'utf8')

export function recordedStatus(state: string): DrbdResourceStatus {
  const [status] = parseStatus(recordedText(`${state}/drbdsetup-status-R.json`))
  if (status === undefined) throw new Error(`${state} has no resource`)
  return status
}
