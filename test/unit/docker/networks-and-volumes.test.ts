import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { EnsureNetwork } from '#gen/hive/v1/steps_docker.ts'
import type { Network } from '../../../agent/adapters/docker/api-types.ts'
import { networkDifferences, servicesOn } from '../../../agent/adapters/docker/networks.ts'
import { describeOptions, sameOptions } from '../../../agent/adapters/docker/volumes.ts'
import { networks, services } from './specs.ts'

function networkNamed(name: string): Network {
  const found = networks.find((network) => network.Name === name)
  if (found === undefined) throw new Error(`no recording of ${name}`)
  return found
}
const asked = (changes: Partial<EnsureNetwork>): EnsureNetwork => EnsureNetwork.fromPartial({ driver: 'overlay', attachable: true, ...changes })
const ip = (subnet: string, gateway = '') => ({ subnet, gateway, ipRange: '' })

suite('an existing network', () => {
  test('is as asked for where docker chose what was left open', () => {
    assert.deepEqual(networkDifferences(asked({ name: 'hive_default_network' }), networkNamed('hive_default_network')), [])
    assert.deepEqual(networkDifferences(asked({ name: 'hive_default_network', ipam: [ip('172.31.252.0/24')] }), networkNamed('hive_default_network')), [])
  })

  test('differs by subnet, by option, by being attachable', () => {
    const spec = asked({ name: 'plain', attachable: false, ipam: [ip('172.31.249.0/24')], options: { 'com.docker.network.driver.mtu': '1300' } })
    assert.deepEqual(
      networkDifferences(spec, networkNamed('plain')).map((difference) => difference.what),
      ['attachable', 'addresses', 'option com.docker.network.driver.mtu'],
    )
  })

  test('names the services that use it', () => {
    assert.deepEqual(servicesOn(networkNamed('plain'), services), ['cli', 'full'])
  })
})

suite('options of volumes', () => {
  test('are the same in any order and with any spaces', () => {
    assert.ok(sameOptions({ type: 'nfs', o: 'addr=1, nolock' }, { o: 'nolock,addr=1', type: 'nfs' }))
    assert.ok(!sameOptions({ type: 'nfs' }, { type: 'none' }))
  })

  test('are shown without passwords', () => {
    assert.equal(describeOptions({ o: 'username=a,password=hunter2' }), 'o=password=…,username=a')
  })
})
