/** DRBD's status on this host. */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { sharedAnswer } from '../shared-answer.ts'
import { parseStatus } from './status.ts'
import { drbdMutations, drbdsetup } from './tools.ts'

/** A resource that is not configured answers with this, after printing an empty list. */
const unknownResource = 10

const all = sharedAnswer(async () => parseStatus((await drbdsetup(['status', '--json', '--statistics'], { readOnly: true })).stdout), drbdMutations)

/** All resources, at most 300 ms old and never older than the last DRBD command that this agent ran to change something. */
export const readStatus = (signal?: AbortSignal): Promise<readonly DrbdResourceStatus[]> => all.get(signal)

/** One resource as it is now; undefined where it is not configured. */
export async function readStatusOf(name: string, signal?: AbortSignal): Promise<DrbdResourceStatus | undefined> {
  const options = { readOnly: true, okCodes: [0, unknownResource], ...(signal === undefined ? {} : { signal }) }
  const { stdout } = await drbdsetup(['status', name, '--json', '--statistics'], options)
  return parseStatus(stdout).find((resource) => resource.name === name)
}
