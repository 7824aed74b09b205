/**
 * EC2 takes its time; the emulator doesn't. What was begun is shown as under way in the next answers: pending, stopping,
 * shutting-down for instances, creating and deleting for volumes; what is new may at first not be found at all.
 */
import type { EC2Client } from '@aws-sdk/client-ec2'
import { DeleteVolumeCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2'
import { type Answer, type Call, errorAnswer, list } from './call.ts'
import { answerXml, child, type Element, items, make, parseXml, put, text, writeXml } from './xml.ts'

/** How many answers show what is under way, or don't show what is new. */
export interface Pace {
  /** pending, stopping, shutting-down. Default 1. */
  instances: number
  /** creating, deleting. Default 1. */
  volumes: number
  /** Describes that don't find a new thing: instance, network, subnet, gateway, route table, group, volume, address. Default 0. */
  hidden: number
  /** Writes that name a new thing and hear that it does not exist. Default 0. */
  unknown: number
  /** File systems and mount targets: creating, deleting. Default 1. */
  efs: number
}

export const usualPace: Readonly<Pace> = { instances: 1, volumes: 1, hidden: 0, unknown: 0, efs: 1 }

const codes = { pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80 } as const
type UnderWay = 'pending' | 'stopping' | 'shutting-down'
const statesOf: Readonly<Record<string, UnderWay>> = {
  RunInstances: 'pending',
  StartInstances: 'pending',
  StopInstances: 'stopping',
  TerminateInstances: 'shutting-down',
}

interface Left {
  state: UnderWay | 'creating' | 'deleting'
  left: number
}

export class Transitions {
  readonly pace: Pace = { ...usualPace }
  readonly #underWay = new Map<string, Left>()
  readonly #hidden = new Map<string, number>()
  readonly #unknown = new Map<string, number>()
  /** Volume → the instance that is on its way out and still has it. */
  readonly #held = new Map<string, string>()

  forget(): void {
    this.#underWay.clear()
    this.#hidden.clear()
    this.#unknown.clear()
    this.#held.clear()
  }

  /** What is shown of an instance or volume instead of the emulator's state, if anything is. */
  stateOf = (id: string): Left['state'] | undefined => this.#underWay.get(id)?.state

  /** The ending instance that still has the volume. */
  holderOf = (volumeId: string): string | undefined => {
    const instance = this.#held.get(volumeId)
    return instance !== undefined && this.isEnding(instance) ? instance : undefined
  }

  hold(volumeIds: readonly string[], instanceId: string): void {
    for (const id of volumeIds) this.#held.set(id, instanceId)
  }

  /** Whether an instance still shows that it is shutting down: it holds its network interfaces until it is seen terminated. */
  isEnding = (instanceId: string): boolean => this.#underWay.get(instanceId)?.state === 'shutting-down'

  /** A refused call is one more look at the things that are under way: whoever repeats it gets on. */
  passOne(ids: readonly string[]): void {
    for (const id of ids) this.#shown(id)
  }

  /** A write that was answered well. */
  begun({ action }: Call, answer: Element): void {
    const state = statesOf[action]
    if (state !== undefined) {
      for (const item of items(answer, 'instancesSet')) {
        const id = text(item, 'instanceId')
        const [before, now] = [text(item, 'previousState', 'name'), text(item, 'currentState', 'name')]
        const nothingToDo =
          before === 'terminated' || (action === 'StartInstances' && before === 'running') || (action === 'StopInstances' && before === 'stopped')
        if ((now !== '' && nothingToDo) || this.pace.instances < 1) continue
        this.#underWay.set(id, { state, left: this.pace.instances })
      }
    }
    for (const id of newIds(action, answer)) {
      if (this.pace.hidden > 0) this.#hidden.set(id, this.pace.hidden)
      if (this.pace.unknown > 0) this.#unknown.set(id, this.pace.unknown)
    }
    if (action === 'CreateVolume' && this.pace.volumes > 0) this.#underWay.set(text(answer, 'volumeId'), { state: 'creating', left: this.pace.volumes })
  }

  /** Answers a DeleteVolume that takes time; the volume goes when it was shown `deleting` often enough. Undefined where the emulator shall answer. */
  async beginDelete(call: Call, ec2: EC2Client): Promise<Answer | undefined> {
    const id = call.params['VolumeId'] ?? ''
    if (this.#underWay.get(id)?.state === 'deleting') return { status: 200, type: 'text/xml', body: answerXml('DeleteVolume', make('return', 'true')) }
    if (this.pace.volumes < 1) return undefined
    const found = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [id] })).catch(() => undefined)
    if (found?.Volumes?.[0]?.State !== 'available') return undefined
    this.#underWay.set(id, { state: 'deleting', left: this.pace.volumes })
    return { status: 200, type: 'text/xml', body: answerXml('DeleteVolume', make('return', 'true')) }
  }

  /** Volumes that were shown `deleting` often enough go now; all of them with `all`. */
  async finishDeletes(ec2: EC2Client, all = false): Promise<void> {
    for (const [id, { state, left }] of this.#underWay)
      if (state === 'deleting' && (all || left <= 0)) {
        this.#underWay.delete(id)
        await ec2.send(new DeleteVolumeCommand({ VolumeId: id })).catch(() => undefined)
      }
  }

  /** Refused where the call names something that can't be found yet. */
  notFound(call: Call): Answer | undefined {
    const known = call.write ? this.#unknown : this.#hidden
    // Filters just don't find it; tags go to what is not known yet, as to anything.
    const named = Object.entries(call.params).flatMap(([key, value]) => (key.startsWith('Filter.') ? [] : [value]))
    const [missing] = named.filter((id) => countDown(known, id))
    if (missing === undefined) return undefined
    const [code, what] = notFoundCodes[missing.split('-')[0] ?? ''] ?? ['InvalidID.NotFound', 'ID']
    return errorAnswer(call, 400, code, `The ${what} '${missing}' does not exist`)
  }

  /** The describe as the emulator must get it: it knows only end states, so these filters are ours. */
  forwarded(call: Call): { readonly params: Readonly<Record<string, string>>; readonly states?: readonly string[] } {
    const named = Object.entries(call.params).find(([key, value]) => /^Filter\.\d+\.Name$/.test(key) && value === stateFilter(call.action))
    if (named === undefined) return { params: call.params }
    const base = named[0].replace(/\.Name$/, '')
    const params = Object.fromEntries(Object.entries(call.params).filter(([key]) => !key.startsWith(`${base}.`)))
    return { params, states: list(call.params, `${base}\\.Value`) }
  }

  /** Rewrites the answer of a describe. */
  show(call: Call, root: Element, states: readonly string[] | undefined): void {
    if (call.action === 'DescribeInstances') {
      const reservations = child(root, 'reservationSet')
      for (const reservation of items(reservations ?? root)) {
        const set = child(reservation, 'instancesSet')
        if (set === undefined) continue
        set.children = items(set).filter((item) => {
          const id = text(item, 'instanceId')
          if (countDown(this.#hidden, id)) return false
          const state = this.#instance(id, text(item, 'instanceState', 'name'))
          put(item, make('instanceState', make('code', String(codes[state as keyof typeof codes])), make('name', state)))
          return states === undefined || states.includes(state)
        })
      }
      if (reservations !== undefined) reservations.children = items(reservations).filter((each) => items(each, 'instancesSet').length > 0)
    }
    const [setName, idName] = listings[call.action] ?? []
    const listing = setName === undefined ? undefined : child(root, setName)
    if (listing !== undefined && idName !== undefined) listing.children = items(listing).filter((item) => !countDown(this.#hidden, text(item, idName)))
    if (call.action === 'DescribeVolumes') {
      const set = child(root, 'volumeSet')
      if (set === undefined) return
      set.children = items(set).filter((item) => {
        const id = text(item, 'volumeId')
        const status = this.#shown(id)?.state ?? (this.holderOf(id) === undefined ? text(item, 'status') : 'in-use')
        put(item, make('status', status))
        return states === undefined || states.includes(status)
      })
    }
  }

  #instance(id: string, now: string): string {
    return this.#shown(id)?.state ?? now
  }

  /** What is under way for it, shown once more. A volume that is deleted stays until `finishDeletes`. */
  #shown(id: string): Left | undefined {
    const found = this.#underWay.get(id)
    if (found === undefined) return undefined
    const before = { ...found }
    found.left -= 1
    if (found.left <= 0 && found.state !== 'deleting') this.#underWay.delete(id)
    return before
  }
}

const notFoundCodes: Readonly<Record<string, readonly [string, string]>> = {
  i: ['InvalidInstanceID.NotFound', 'instance ID'],
  vpc: ['InvalidVpcID.NotFound', 'vpc ID'],
  subnet: ['InvalidSubnetID.NotFound', 'subnet ID'],
  igw: ['InvalidInternetGatewayID.NotFound', 'internetGateway ID'],
  rtb: ['InvalidRouteTableID.NotFound', 'routeTable ID'],
  sg: ['InvalidGroup.NotFound', 'security group'],
  vol: ['InvalidVolume.NotFound', 'volume'],
  eipalloc: ['InvalidAllocationID.NotFound', 'allocation ID'],
}

/** Set and id of what a describe lists; instances are in reservations, and seen to there. */
const listings: Readonly<Record<string, readonly [string, string]>> = {
  DescribeVpcs: ['vpcSet', 'vpcId'],
  DescribeSubnets: ['subnetSet', 'subnetId'],
  DescribeInternetGateways: ['internetGatewaySet', 'internetGatewayId'],
  DescribeRouteTables: ['routeTableSet', 'routeTableId'],
  DescribeSecurityGroups: ['securityGroupInfo', 'groupId'],
  DescribeVolumes: ['volumeSet', 'volumeId'],
  DescribeAddresses: ['addressesSet', 'allocationId'],
}

const makers: Readonly<Record<string, readonly string[]>> = {
  CreateVpc: ['vpc', 'vpcId'],
  CreateSubnet: ['subnet', 'subnetId'],
  CreateInternetGateway: ['internetGateway', 'internetGatewayId'],
  CreateRouteTable: ['routeTable', 'routeTableId'],
  CreateSecurityGroup: ['groupId'],
  CreateVolume: ['volumeId'],
  AllocateAddress: ['allocationId'],
}

function newIds(action: string, answer: Element): readonly string[] {
  if (action === 'RunInstances') return items(answer, 'instancesSet').map((item) => text(item, 'instanceId'))
  const path = makers[action]
  return path === undefined ? [] : [text(answer, ...path)]
}

/** Whether there was something left, which is one less now. */
function countDown(left: Map<string, number>, id: string): boolean {
  const count = left.get(id)
  if (count === undefined) return false
  if (count > 1) left.set(id, count - 1)
  else left.delete(id)
  return true
}

const stateFilter = (action: string): string | undefined =>
  action === 'DescribeInstances' ? 'instance-state-name' : action === 'DescribeVolumes' ? 'status' : undefined

export const rewritten = (answer: Answer, change: (root: Element) => void): Answer => {
  const root = parseXml(answer.body)
  if (root === undefined) return answer
  change(root)
  return { ...answer, body: writeXml(root) }
}
