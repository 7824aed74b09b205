import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { AwsFound } from '../../../coordinator/providers/aws/observe.ts'
import { planAws } from '../../../coordinator/providers/aws/plan.ts'
import { type Tags, tagsOf } from '../../../coordinator/providers/aws/tags.ts'
import { awsWant, mirroredDevice } from '../../../coordinator/providers/aws/want.ts'
import { loadStage } from '../../ec2/stage.ts'

const want = awsWant(await loadStage())
const tags = (name: string, host?: string): Tags => tagsOf(want.owner, name, host)

/** An account in which all is as it is wanted. */
function wanted(): AwsFound {
  const subnets = want.subnets.map(({ name, cidr, zone = '' }, index) => ({ id: `subnet-${index}`, vpcId: 'vpc-1', cidr, zone, tags: tags(name) }))
  const hosts = want.hosts.map((host, index) => {
    const subnet = subnets[want.subnets.findIndex(({ name }) => name === host.subnet)] ?? assert.fail()
    const disk = (id: string, sizeGb: number, goesWithInstance: boolean) => ({
      id,
      state: 'in-use',
      sizeGb,
      zone: subnet.zone,
      encrypted: false,
      goesWithInstance,
      attachedTo: `i-${index}`,
      tags: tags(host.name, host.name),
    })
    const disks = new Map([['/dev/sda1', { volumeId: `vol-${index}a`, deletedWithInstance: true }]])
    if (host.mirrored !== undefined) disks.set(mirroredDevice, { volumeId: `vol-${index}b`, deletedWithInstance: false })
    return {
      instance: {
        id: `i-${index}`,
        name: host.name,
        state: 'running' as const,
        stateReason: '',
        type: host.instanceType,
        vpcId: 'vpc-1',
        subnetId: subnet.id,
        zone: subnet.zone,
        privateIp: host.address,
        groups: ['sg-1'],
        rootDevice: '/dev/sda1',
        disks,
        tags: tags(host.name, host.name),
      },
      volumes: [
        disk(`vol-${index}a`, host.root.sizeGb ?? 10, true),
        ...(host.mirrored === undefined ? [] : [disk(`vol-${index}b`, host.mirrored.sizeGb ?? 10, false)]),
      ],
      address: {
        allocationId: `eipalloc-${index}`,
        publicIp: `203.0.113.${index}`,
        associationId: `eipassoc-${index}`,
        instanceId: `i-${index}`,
        tags: tags(`for ${host.name}`, host.name),
      },
    }
  })
  return {
    vpcs: [{ id: 'vpc-1', cidr: want.cidr, ipv6: false, tags: tags(want.vpcName) }],
    dnsHostnames: true,
    gateways: [{ id: 'igw-1', vpcId: 'vpc-1', tags: tags(want.gatewayName) }],
    subnets,
    routeTables: [
      {
        id: 'rtb-1',
        vpcId: 'vpc-1',
        isMain: false,
        routes: new Map([['0.0.0.0/0', 'igw-1']]),
        associations: new Map(subnets.map(({ id }) => [id, `rtbassoc-${id}`])),
        tags: tags(want.routeTableName),
      },
    ],
    groups: [{ id: 'sg-1', vpcId: 'vpc-1', name: want.groupName, rules: want.rules(false), tags: tags(want.groupTag) }],
    keys: [{ id: 'key-1', name: want.keyName, fingerprint: 'aa', tags: tags(want.keyName) }],
    instances: hosts.map(({ instance }) => instance),
    volumes: hosts.flatMap(({ volumes }) => volumes),
    addresses: hosts.map(({ address }) => address),
    published: [],
  }
}

const empty: AwsFound = {
  vpcs: [],
  dnsHostnames: false,
  gateways: [],
  subnets: [],
  routeTables: [],
  groups: [],
  keys: [],
  instances: [],
  volumes: [],
  addresses: [],
  published: [],
}
const idsOf = (found: AwsFound): readonly string[] => planAws(want, found, 'aa').actions.map(({ id }) => id)

/** What may be gone or changed by itself, and what is planned for it then. */
const drifts: readonly { readonly change: (found: AwsFound) => AwsFound; readonly id: string }[] = [
  { change: (found) => ({ ...found, dnsHostnames: false }), id: 'aws/vpc-dns' },
  { change: (found) => ({ ...found, keys: [] }), id: 'aws/key-pair' },
  { change: (found) => ({ ...found, routeTables: found.routeTables.map((table) => ({ ...table, routes: new Map() })) }), id: 'aws/routes' },
  { change: (found) => ({ ...found, groups: found.groups.map((group) => ({ ...group, rules: group.rules.slice(1) })) }), id: 'aws/security-rules' },
  { change: (found) => ({ ...found, gateways: found.gateways.map((gateway) => ({ ...gateway, tags: { Project: want.owner.site } })) }), id: 'aws/tags' },
  ...want.hosts.flatMap(({ name }) => {
    const instance = (found: AwsFound, change: object): AwsFound => ({
      ...found,
      instances: found.instances.map((one) => (one.name === name ? { ...one, ...change } : one)),
    })
    return [
      { change: (found: AwsFound) => instance(found, { type: 'x1.other' }), id: `aws/instance-type@${name}` },
      { change: (found: AwsFound) => instance(found, { state: 'stopped' }), id: `aws/start@${name}` },
      { change: (found: AwsFound) => instance(found, { groups: ['sg-9'] }), id: `aws/security-group@${name}` },
      {
        change: (found: AwsFound) => ({
          ...found,
          addresses: found.addresses.map((one) => (one.tags['hive:host'] === name ? { ...one, instanceId: undefined } : one)),
        }),
        id: `aws/address@${name}`,
      },
    ]
  }),
]

describe('the plan of an aws stage', () => {
  it('is empty where all is as it is wanted', () => assert.deepEqual(planAws(want, wanted(), 'aa'), { actions: [], notices: [] }))

  it('of an empty account makes each thing once, and asks for no yes', () => {
    const { actions } = planAws(want, empty)
    assert.equal(new Set(actions.map(({ id }) => id)).size, actions.length)
    assert.ok(actions.every(({ blocked, needsYes }) => blocked === undefined && needsYes !== true))
    for (const { name } of want.hosts) assert.ok(actions.some(({ id }) => id === `aws/instance@${name}`))
  })

  it('has exactly what differs, whatever differs beside it', () =>
    fc.assert(
      fc.property(fc.subarray([...drifts]), (some) => {
        const found = some.reduce((account, { change }) => change(account), wanted())
        assert.deepEqual([...idsOf(found)].sort(), some.map(({ id }) => id).sort())
      }),
    ))

  it('is the same for the same account, which it leaves as it is', () =>
    fc.assert(
      fc.property(fc.subarray([...drifts]), (some) => {
        const found = some.reduce((account, { change }) => change(account), wanted())
        const before = structuredClone(found)
        assert.deepEqual(planAws(want, found, 'aa'), planAws(want, found, 'aa'))
        assert.deepEqual(found, before)
      }),
    ))
})
