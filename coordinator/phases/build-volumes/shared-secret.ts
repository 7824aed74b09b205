/** The secret by which the hosts of a mirrored volume know each other: one for each resource, all derived from one of the stage. */
import { createHmac, randomBytes } from 'node:crypto'
import { HiveError } from '../../../proto/errors.ts'
import type { StageState } from '../../run/stage-state.ts'

const key = 'drbdSecret'

/** 43 characters of letters, digits, - and _. Made and kept with the stage at the first use. */
export function sharedSecretOf(resource: string, state: StageState): string {
  let secret = state.get(key)
  if (secret === undefined) {
    secret = randomBytes(32).toString('hex')
    state.set(key, secret)
  }
  if (typeof secret !== 'string' || !/^[0-9a-f]{64}$/.test(secret))
    throw new HiveError('invalid-input', `${key} in the stage's state.json is damaged`, {
      hint: 'restore it from a copy, or remove it: hosts then get new secrets',
    })
  return createHmac('sha256', Buffer.from(secret, 'hex')).update(`drbd resource ${resource}`).digest('base64url')
}

/** Those of these resources, where the stage has a secret by now; none is made. */
export const secretsMade = (resources: readonly string[], state: Pick<StageState, 'get'>): readonly string[] => {
  const made = state.get(key)
  return typeof made === 'string' ? [made, ...resources.map((resource) => sharedSecretOf(resource, { get: () => made, set: () => undefined }))] : []
}
