/** Gives up a host's instance with its root disk; its disk for mirrored volumes and its address stay for the next one. */
import { type Retiring, retire } from './apply-hosts.ts'
import { InstanceWatch } from './instance-watch.ts'
import { type AwsFound, liveInstance } from './observe.ts'

/** Nothing where it has none. Answers once it is terminated. */
export async function discardInstance(work: Retiring & { readonly found: AwsFound }, name: string): Promise<void> {
  const { api, want, found, signal } = work
  const host = want.hosts.find((one) => one.name === name)
  const instance = liveInstance(found, name)
  if (host !== undefined && instance !== undefined) await retire(work, { watch: new InstanceWatch(api, signal) }, host, instance)
}
