/** The stage's EFS file system as a part of the provider: only where the stage has NFS volumes, or had them. */

import type { Emit } from '../../events.ts'
import type { StageState } from '../../run/stage-state.ts'
import type { ProviderAction } from '../provider.ts'
import type { AwsApi } from './api.ts'
import type { Network, Work } from './apply-network.ts'
import { applyEfs, destroyEfs, type EfsContext, observeEfs } from './efs.ts'
import { rememberEfs } from './efs-address.ts'
import { type EfsFound, type EfsWant, efsEncryption, efsRemarks, planEfs } from './efs-plan.ts'
import { type About, fromAws } from './errors.ts'
import { subnetOf } from './found.ts'
import type { AwsFound } from './observe.ts'
import type { AwsWant } from './want.ts'

interface Place {
  readonly id: string | undefined
  readonly zone: string
}

/** `subnet`: what is known of a subnet by its name. */
function efsWant(want: AwsWant, subnet: (name: string, cidr: string) => Place | undefined, securityGroupId: string | undefined): EfsWant {
  return {
    ...want.owner,
    name: `efs-${want.owner.site}`,
    tags: {},
    ...efsEncryption(want.kmsKeyId),
    // A zone that AWS is still to choose has no name yet.
    subnets: want.subnets.map(({ name, cidr, zone }) => ({ name, zone: zone ?? `the zone of ${name}`, id: undefined, ...subnet(name, cidr) })),
    securityGroupId,
  }
}

const wantIn = (want: AwsWant, found: AwsFound): EfsWant => {
  const vpcId = found.vpcs[0]?.id
  return efsWant(
    want,
    (_name, cidr) => found.subnets.find((subnet) => subnet.cidr === cidr && subnet.vpcId === vpcId),
    found.groups.find((group) => group.vpcId === vpcId)?.id,
  )
}

const contextOf = (api: AwsApi, signal: AbortSignal, emit: Emit): EfsContext => ({
  signal,
  emit,
  clock: api.clock,
  call: async ({ action, resource }, send) => {
    try {
      return await send()
    } catch (error) {
      throw fromAws(error, action, { what: resource } satisfies About, api.region)
    }
  },
})

const silent: Emit = () => undefined

export interface FileSystemPlan {
  readonly found: EfsFound | undefined
  readonly actions: readonly ProviderAction[]
  readonly notices: readonly string[]
}

/** Asks nobody where the stage has no NFS volumes. */
export async function planFileSystem(api: AwsApi, want: AwsWant, found: AwsFound, signal: AbortSignal): Promise<FileSystemPlan> {
  if (!want.hasNfs) return { found: undefined, actions: [], notices: [] }
  const asked = wantIn(want, found)
  const there = await observeEfs(api.efs, asked, contextOf(api, signal, silent))
  return {
    found: there,
    actions: planEfs(asked, there).map((action) => ({ ...action, id: `aws/${action.id}`, host: '', disruption: 0 })),
    notices: efsRemarks(asked, there),
  }
}

/** After the network: mount targets stand in its subnets. */
export async function applyFileSystem(
  { api, want, signal }: Pick<Work, 'api' | 'want' | 'signal'>,
  network: Network,
  there: EfsFound | undefined,
  state: StageState,
  emit: Emit,
): Promise<void> {
  if (!want.hasNfs) return
  const [groupId, ...ids] = await Promise.all([network.groupId, ...network.subnetIds.values()])
  await network.done
  const { Subnets } = await api.settled('DescribeSubnets', { SubnetIds: ids }, { what: 'subnets' }, signal)
  const subnets = (Subnets ?? []).map(subnetOf)
  const asked = efsWant(want, (_name, cidr) => subnets.find((subnet) => subnet.cidr === cidr), groupId)
  rememberEfs(state, await applyEfs(api.efs, asked, there, contextOf(api, signal, emit)))
}

/** Also where the inventory has no NFS volumes any more, but the stage once had some. Forgets the address. */
export async function destroyFileSystem(api: AwsApi, want: AwsWant, found: AwsFound, state: StageState, emit: Emit, signal: AbortSignal): Promise<void> {
  const hadOne = state.get('aws.efs') !== undefined && state.get('aws.efs') !== null
  if (!want.hasNfs && !hadOne) return
  const asked = wantIn(want, found)
  const context = contextOf(api, signal, emit)
  await destroyEfs(api.efs, asked, await observeEfs(api.efs, asked, context), context)
  rememberEfs(state, undefined)
}
