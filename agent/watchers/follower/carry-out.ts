/** Does what differs, each thing by itself: what fails is told, and keeps nothing else from being done. */
import { messageOf } from '../../../proto/errors.ts'
import { updateNode } from '../../adapters/docker/swarm.ts'
import { lendAddress, takeAddress } from '../../adapters/network/addresses.ts'
import { deleteRule, insertRule } from '../../adapters/network/iptables.ts'
import { type HostAction, lease, type MarkChange, withMarks } from './differences.ts'

export interface Done {
  readonly action: HostAction | MarkChange
  /** undefined: it worked. */
  readonly error: string | undefined
}

export type CarryOut = (action: HostAction | MarkChange, signal: AbortSignal) => Promise<unknown>

export const carryOut: CarryOut = async (action, signal) => {
  switch (action.kind) {
    case 'remove-rule':
      return await deleteRule(action.rule, signal)
    case 'add-rule':
      return await insertRule(action.rule, signal)
    case 'remove-address':
      return await takeAddress(action.address, { signal })
    case 'add-address':
    case 'renew-address':
      return await lendAddress(action.address, lease, { signal })
    case 'mark-node':
      return await updateNode(action.nodeId, (spec) => ({ ...spec, Labels: withMarks(spec.Labels ?? {}, action) }), signal)
  }
}

export async function doAll(actions: readonly (HostAction | MarkChange)[], signal: AbortSignal, act: CarryOut = carryOut): Promise<readonly Done[]> {
  const done: Done[] = []
  for (const action of actions) {
    const error = await act(action, signal).then(
      () => undefined,
      (thrown: unknown) => messageOf(thrown),
    )
    done.push({ action, error })
  }
  return done
}

/** An action as the log tells it. */
export function inWords(action: HostAction | MarkChange): string {
  switch (action.kind) {
    case 'remove-rule':
      return `removes the rule ${commentOf(action.rule.words)}`
    case 'add-rule':
      return `adds the rule ${commentOf(action.rule.words)}`
    case 'remove-address':
      return `takes ${action.address.address} from ${action.address.interface}`
    case 'add-address':
      return `gives ${action.address.address}/${action.address.prefixLength} to ${action.address.interface} for ${action.address.services.join(', ')}`
    case 'renew-address':
      return `renews ${action.address.address} on ${action.address.interface}`
    case 'mark-node':
      return `labels of ${action.name}: ${[...action.add.map((mark) => `${mark}=true`), ...action.remove.map((mark) => `no ${mark}`)].join(', ')}`
  }
}

const commentOf = (words: readonly string[]): string => words[words.indexOf('--comment') + 1] ?? ''
