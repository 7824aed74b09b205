import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Site } from '../../../coordinator/inventory/site.ts'
import { awsWant } from '../../../coordinator/providers/aws/want.ts'
import { loadStage } from '../../ec2/stage.ts'

const site = await loadStage()

/** The example's stage, with other attributes and variables of hosts. */
const changed = (attributes: Readonly<Record<string, unknown>>, variables: Readonly<Record<string, unknown>> = {}): Site => ({
  ...site,
  attributes: { ...site.attributes, ...attributes },
  variable: (name, variable) => (variable in variables ? variables[variable] : site.variable(name, variable)),
})

describe('what an aws stage needs', () => {
  it('is named as hive-builder named it', () => {
    const { vpcName, gatewayName, keyName, groupName, region, subnets } = awsWant(site)
    assert.deepEqual(
      [vpcName, gatewayName, keyName, groupName, region],
      ['vpc-pdns', 'gateway for vpc-pdns', 'hive-bulder-pdns-staging', 'hive-pdns-staging', 'ap-northeast-1'],
    )
    assert.deepEqual(subnets[1], { name: 'subnet-c', cidr: '192.168.0.64/26', zone: 'ap-northeast-1c' })
    assert.equal(awsWant({ ...site, stage: 'production' }).keyName, 'hive-bulder-pdns')
    const named = awsWant(changed({}, { hive_vpc_name: 'shared', hive_aws_key_name: 'key' }))
    assert.deepEqual([named.vpcName, named.gatewayName, named.keyName], ['shared', 'gateway for shared', 'key'])
  })

  it('is told all at once where it is missing', () =>
    assert.throws(() => awsWant(changed({ region: undefined }, { hive_instance_type: '' })), {
      code: 'invalid-input',
      message: /region is missing.*\ns-hive0\.pdns has no instance type: write stages\.staging\.instance_type[\s\S]*s-hive3\.pdns .*repository_instance_type/,
    }))

  it('is one subnet, the whole network, where none is written', () => {
    const { subnets, hosts } = awsWant({ ...changed({ subnets: undefined }), hosts: site.hosts.map((host) => ({ ...host, subnet: 'pdns-default' })) })
    assert.deepEqual(subnets, [{ name: 'pdns-default', cidr: '192.168.0.0/24', zone: undefined }])
    assert.deepEqual([...new Set(hosts.map(({ subnet }) => subnet))], ['pdns-default'])
  })

  it('has encrypted disks where they are asked for, with the key; others have none', () => {
    const [host] = awsWant(changed({}, { hive_kms_key_id: 'arn:key', hive_disk_encrypted: 'yes', hive_mirrored_disk_encrypted: false })).hosts
    assert.deepEqual(host?.root, { sizeGb: 20, encrypted: true, kmsKeyId: 'arn:key' })
    assert.deepEqual(host?.mirrored, { sizeGb: 10, encrypted: false, kmsKeyId: undefined })
  })

  it('has no mirrored disk on the repository server, nor where a host shall have none', () => {
    assert.deepEqual(
      awsWant(site).hosts.map(({ mirrored }) => mirrored?.sizeGb),
      [10, 10, 10, undefined],
    )
    const without = { ...site, hosts: site.hosts.map((host) => ({ ...host, settings: { ...host.settings, noMirroredDevice: true } })) }
    assert.ok(awsWant(without).hosts.every(({ mirrored }) => mirrored === undefined))
  })

  it('opens ssh on 22, where new instances listen, and on the port that sshd gets, to single addresses too', () => {
    const moved = {
      ...changed({}, { hive_ssh_source_ips: '192.0.2.7' }),
      hosts: site.hosts.map((host) => ({ ...host, settings: { ...host.settings, sshdPort: 2222 } })),
    }
    const ssh = awsWant(moved)
      .rules(false)
      .filter(({ from }) => from === 22 || from === 2222)
    assert.deepEqual(
      ssh.map(({ from, source }) => [from, source]),
      [
        [22, '192.0.2.7/32'],
        [2222, '192.0.2.7/32'],
      ],
    )
  })

  it('is refused at once where the rules can not be read', () =>
    assert.throws(() => awsWant(changed({}, { hive_ec2_group_rules: 'ssh' })), { code: 'invalid-input' }))
})
