/** What build-infra would do to the hosts of an nspawn stage, from what is recorded and what runs. Pure. */
import type { Disruption } from '#gen/hive/v1/step.ts'
import type { Host } from '../../inventory/site.ts'
import type { HostPower, ProviderAction } from '../provider.ts'
import type { HostRecord } from './stage-folder.ts'

export interface HostState {
  readonly record: HostRecord | undefined
  readonly running: boolean
}

export type HostWant = Pick<Host, 'name' | 'shortName' | 'address' | 'prefixLength'>

const none: Disruption = 0
const reboot: Disruption = 3

const at = ({ address, prefixLength }: Pick<HostWant, 'address' | 'prefixLength'>): string => `${address}/${prefixLength}`

export function powerOf(state: HostState): HostPower {
  if (state.running) return 'running'
  return state.record === undefined ? 'absent' : 'halted'
}

export const actionKinds = ['create', 'start', 'move'] as const
export type ActionKind = (typeof actionKinds)[number]

/** The action a host needs; undefined where it is as wanted. */
export function hostAction(host: HostWant, state: HostState): (ProviderAction & { readonly kind: ActionKind }) | undefined {
  const { record, running } = state
  const action = (kind: ActionKind, title: string, reason: string, before: string, disruption = none) => ({
    kind,
    id: `nspawn/${kind}@${host.name}`,
    host: host.name,
    title,
    reason,
    before,
    after: `running at ${at(host)}`,
    disruption,
  })
  if (record === undefined) return action('create', 'Create the host', 'there is none', 'absent')
  if (!record.complete && !running) return action('create', 'Create the host', 'its creation was interrupted', 'half made')
  if (at(record) !== at(host))
    return action(
      'move',
      'Restart the host at its new address',
      'the address in the inventory changed',
      `${running ? 'running' : 'halted'} at ${at(record)}`,
      running ? reboot : none,
    )
  if (!running) return action('start', 'Start the host', 'it is off', 'halted')
  return undefined
}
