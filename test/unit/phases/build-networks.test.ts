import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Network } from '../../../coordinator/inventory/site.ts'
import { buildNetworks } from '../../../coordinator/phases/build-networks.ts'
import { everything, facts, site } from './sample-site.ts'

const network = (changes: Partial<Network>): Network => ({
  name: 'hive_default_network',
  subnet: undefined,
  gateway: undefined,
  attachable: true,
  ipamDriver: undefined,
  ipam: [],
  ipamOptions: {},
  driverOptions: {},
  ...changes,
})

async function specsOf(networks: readonly Network[]) {
  const made = site({ networks })
  const { steps } = await buildNetworks.steps({ site: made, limit: everything, facts: undefined, state: facts(made, {}).state })
  return steps.map(({ id, spec }) => ({ id, spec: spec?.kind?.$case === 'ensureNetwork' ? spec.kind.value : undefined }))
}

test('each network is made once, as an overlay, by the first hive host', async () => {
  const made = await specsOf([network({}), network({ name: 'other', attachable: false, driverOptions: { mtu: '1400' } })])
  assert.deepEqual(
    made.map(({ id, spec }) => [id, spec?.driver, spec?.attachable, spec?.options]),
    [
      ['build-networks/hive_default_network@s-hive0.site', 'overlay', true, {}],
      ['build-networks/other@s-hive0.site', 'overlay', false, { mtu: '1400' }],
    ],
  )
})

test('addresses are those of ipam, else the subnet that the site gives', async () => {
  const [first, second, third] = await specsOf([
    network({ subnet: '172.31.252.0/24' }),
    network({ subnet: '10.1.0.0/24', ipam: [{ subnet: '10.1.0.0/24', gateway: '10.1.0.9', ipRange: undefined }] }),
    network({}),
  ])
  assert.deepEqual(first?.spec?.ipam, [{ subnet: '172.31.252.0/24', gateway: '', ipRange: '' }])
  assert.deepEqual(second?.spec?.ipam, [{ subnet: '10.1.0.0/24', gateway: '10.1.0.9', ipRange: '' }])
  assert.deepEqual(third?.spec?.ipam, [])
})
