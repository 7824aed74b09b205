import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { stageNames } from '../../../coordinator/inventory/site.ts'

const root = join(import.meta.dirname, '../../fixtures/sites/gate')

describe('a site of standalone services on own machines and a cloud', () => {
  for (const stage of stageNames) test(`loads for ${stage}`, async () => assert.equal((await loadSite({ root, stage, env: {} })).stage, stage))

  test('looks at other hosts and pseudo-hosts', async () => {
    const site = await loadSite({ root, stage: 'private', env: {} })
    const directory = site.services.find((service) => service.name === 'directory')
    assert.equal(directory?.environment['SUFFIX'], 'DC=gate,DC=example,DC=com')
    assert.equal(directory?.environment['REGISTRY'], 'p-hive3.gate.example.com:5000')
    assert.equal(directory?.environment['GATE_PORT'], '10443')
    assert.match(directory?.environment['PASSWORD'] ?? '', /^[A-Za-z0-9]{15}1A$/)
    assert.deepEqual(directory?.constraints, ['node.hostname == p-hive0'])
    assert.deepEqual(site.volumes[0]?.diskless, ['p-hive2.gate.example.com'])
    assert.equal(site.services.find((service) => service.name === 'gate')?.labels['HIVE_VIP'], '192.168.100.20')
    assert.match(site.hosts[0]?.settings.rootPassword ?? '', /^[A-Za-z0-9]{15}$/)
    assert.equal(String(site.variable('p-hive2.gate.example.com', 'number')), '2')
    assert.deepEqual(site.variable('image_gate', 'certificates'), [{ certificate_fqdn: 'gate', ca_valid_in: '3650', sub_prefix: '/DC=com/DC=example/DC=gate' }])
  })

  test('takes listed addresses in order and zones from the region', async () => {
    const addresses = async (stage: string): Promise<string[]> =>
      (await loadSite({ root, stage, env: {} })).hosts.map((host) => `${host.name} ${host.address} ${host.zone ?? '-'}`)
    assert.deepEqual(await addresses('private'), [
      'p-hive0.gate.example.com 192.168.100.5 -',
      'p-hive1.gate.example.com 192.168.100.6 -',
      'p-hive2.gate.example.com 192.168.100.7 -',
      'p-hive3.gate.example.com 192.168.100.8 -',
    ])
    assert.deepEqual(await addresses('staging'), [
      's-hive0.gate.example.com 192.168.0.4 asia-northeast2-a',
      's-hive1.gate.example.com 192.168.0.5 asia-northeast2-b',
      's-hive2.gate.example.com 192.168.0.6 asia-northeast2-c',
      's-hive3.gate.example.com 192.168.0.7 asia-northeast2-a',
    ])
    assert.deepEqual((await addresses('production'))[2], 'node2.gate.example.com 10.20.0.6 -')
  })

  test('leaves templates to Ansible that it can not render', async () => {
    const inventory = (await loadSite({ root, stage: 'private', env: {} })).ansibleInventory()
    assert.match(String(inventory.hostVariables['gate']?.['credentials']), /lookup\('file'/)
    assert.equal(inventory.hostVariables['gate']?.['inactivity'], '8')
    assert.equal(inventory.groups['first_hive']?.[0], 'p-hive0.gate.example.com')
  })
})
