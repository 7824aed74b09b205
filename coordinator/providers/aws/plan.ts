/** What build-infra would do in the account: wanted beside found. Pure. */
import type { HostPower } from '../provider.ts'
import type { FoundInstance } from './found.ts'
import { type AwsFound, isHostName } from './observe.ts'
import { type AwsPlan, planHost } from './plan-host.ts'
import { planKey, planNetwork } from './plan-network.ts'
import { planTags } from './plan-tags.ts'
import type { AwsWant } from './want.ts'

/**
 * In the order in which a person would do it. Empty: everything is as wanted. `fingerprint`: of the stage's ssh key; undefined where there
 * is none yet.
 */
export function planAws(want: AwsWant, found: AwsFound, fingerprint?: string): AwsPlan {
  const hosts = want.hosts.map((host) => planHost(want, found, host))
  return {
    actions: [...planNetwork(want, found), ...planKey(want, found, fingerprint), ...hosts.flatMap(({ actions }) => actions), ...planTags(want, found)],
    notices: [...strangers(want, found), ...hosts.flatMap(({ notices }) => notices)],
  }
}

export function powerOf(instance: FoundInstance | undefined): HostPower {
  if (instance === undefined) return 'absent'
  return instance.state === 'running' || instance.state === 'pending' ? 'running' : 'halted'
}

/** Instances of the stage that the inventory has no longer. Only destroy removes them. */
function strangers(want: AwsWant, found: AwsFound): readonly string[] {
  const known = new Set(want.hosts.map(({ name }) => name))
  const names = found.instances.filter(({ name }) => !known.has(name) && isHostName(want, name)).map(({ name }) => name)
  return names.length === 0
    ? []
    : [`hosts no longer in the inventory keep running and keep their data: ${names.join(', ')} (destroy removes them with the stage)`]
}
