/**
 * What separates this host and the swarm's nodes from what is desired, in the order in which it is to be done: pure.
 *
 * Invariants:
 * - an address is taken away only where it is the follower's own: it was given for a time, and a service or this process knows it;
 * - rules are told by their comments, marks by their names and by the node's own list of them; all others stay;
 * - what forwards to an address goes before it and comes after it.
 */
import { marksLabel } from '../../../proto/follower-labels.ts'
import type { AddressSight } from '../../adapters/network/addresses.ts'
import { type RuleSight, ruleKey } from '../../adapters/network/iptables.ts'
import type { Desired, DesiredAddress } from './desired.ts'
import type { HostSight, NodeSight } from './picture.ts'

/** Seconds that the kernel keeps an address which nobody renews: what is left of a follower that died. */
export const lease = 60
/** Seconds before its end at which it is renewed. */
const renewBelow = 45

export type HostAction =
  | { readonly kind: 'remove-rule'; readonly rule: RuleSight }
  | { readonly kind: 'remove-address'; readonly address: AddressSight }
  | { readonly kind: 'add-address'; readonly address: DesiredAddress }
  | { readonly kind: 'renew-address'; readonly address: DesiredAddress }
  | { readonly kind: 'add-rule'; readonly rule: RuleSight }

export interface MarkChange {
  readonly kind: 'mark-node'
  readonly nodeId: string
  readonly name: string
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** `held`: addresses that this process gave to the host, as `ownKey` names them. */
export function hostDifferences(desired: Desired, host: HostSight, held: ReadonlySet<string>): readonly HostAction[] {
  const present = host.links.flatMap(({ addresses }) => addresses)
  const wantedRules = new Set(desired.rules.map(ruleKey))
  const seen = new Set<string>()
  const surplus = host.rules.filter((rule) => {
    const key = ruleKey(rule)
    // A second one of the same is as wrong as a strange one.
    if (seen.has(key)) return true
    seen.add(key)
    return !wantedRules.has(key)
  })
  const own = (one: AddressSight): boolean => isLent(one) && (held.has(ownKey(one)) || desired.knownAddresses.has(one.address))
  const fits = (one: AddressSight, wanted: DesiredAddress): boolean =>
    one.address === wanted.address && one.interface === wanted.interface && one.prefixLength === wanted.prefixLength
  const gone = present.filter((one) => own(one) && !desired.addresses.some((wanted) => fits(one, wanted)))
  const renewals = desired.addresses.flatMap((wanted): HostAction[] => {
    const found = present.filter((one) => one.address === wanted.address && !gone.includes(one))
    // Somebody gave it to the host for good.
    if (found.some((one) => !isLent(one))) return []
    const [one] = found
    if (one === undefined) return [{ kind: 'add-address', address: wanted }]
    return (one.secondsLeft ?? 0) < renewBelow ? [{ kind: 'renew-address', address: wanted }] : []
  })
  return [
    ...surplus.map((rule): HostAction => ({ kind: 'remove-rule', rule })),
    ...gone.map((address): HostAction => ({ kind: 'remove-address', address })),
    ...renewals,
    ...desired.rules.filter((rule) => !seen.has(ruleKey(rule))).map((rule): HostAction => ({ kind: 'add-rule', rule })),
  ]
}

/** Nodes whose marks differ. None while nobody knows. */
export function markDifferences({ marks, markNames }: Pick<Desired, 'marks' | 'markNames'>, nodes: readonly NodeSight[]): readonly MarkChange[] {
  if (marks === undefined) return []
  return nodes.flatMap(({ id, name, labels }) => {
    const wanted = marks.get(id) ?? new Set()
    const own = new Set([...markNames, ...ownMarks(labels)])
    const add = [...wanted].filter((mark) => labels[mark] !== 'true' || !ownMarks(labels).includes(mark)).sort()
    const remove = [...own].filter((mark) => !wanted.has(mark) && (Object.hasOwn(labels, mark) || ownMarks(labels).includes(mark))).sort()
    return add.length + remove.length === 0 ? [] : [{ kind: 'mark-node' as const, nodeId: id, name, add, remove }]
  })
}

/** The node's labels after a change. */
export function withMarks(labels: Readonly<Record<string, string>>, { add, remove }: Pick<MarkChange, 'add' | 'remove'>): Record<string, string> {
  const marks = [...new Set([...ownMarks(labels), ...add])].filter((mark) => !remove.includes(mark)).sort()
  const others = Object.entries(labels).filter(([label]) => !remove.includes(label) && label !== marksLabel)
  return {
    ...Object.fromEntries(others),
    ...Object.fromEntries(add.map((mark) => [mark, 'true'])),
    ...(marks.length === 0 ? {} : { [marksLabel]: marks.join(',') }),
  }
}

const ownMarks = (labels: Readonly<Record<string, string>>): readonly string[] => (labels[marksLabel] ?? '').split(',').filter((mark) => mark !== '')

export const ownKey = ({ address, interface: link }: Pick<AddressSight, 'address' | 'interface'>): string => `${address}@${link}`

/** For a time, and no longer than a follower gives it: addresses of DHCP and of routers' advertisements are given for more, or are in no label. */
const isLent = ({ secondsLeft }: AddressSight): boolean => secondsLeft !== undefined && secondsLeft <= lease
