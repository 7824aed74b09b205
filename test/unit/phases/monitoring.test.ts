import assert from 'node:assert/strict'
import { test } from 'node:test'
import { monitoring } from '../../../coordinator/phases/setup-hosts/monitoring.ts'
import { setupHosts } from '../../../coordinator/phases/setup-hosts.ts'
import { monitoringFixture, siteFixture, splitNetworks, zabbixFixture } from './site-fixture.ts'

const target = { address: '192.168.0.7', port: 10051, psk: { identity: 'hive-0123', key: '00ff'.repeat(16) } }
const site = siteFixture()
const [hive, repository] = [site.hosts.find(({ isHive }) => isHive), site.hosts.find(({ isRepository }) => isRepository)]
if (hive === undefined || repository === undefined) throw new Error('the fixture has a hive host and a repository server')

const specOf = (step: ReturnType<typeof monitoring>) => {
  if (step.spec?.kind?.$case !== 'ensureMonitoring') throw new Error('another step')
  return step.spec.kind.value
}

test('a hive host reports under its inventory name, and for the swarm', () => {
  const spec = specOf(monitoring(site, hive, target))
  assert.deepEqual(
    [spec.host, spec.swarmHost, spec.server, spec.pskIdentity, spec.repository, spec.registryPort, spec.passive],
    ['p-hive0.pdns', 'p-swarm.pdns', '192.168.0.7', 'hive-0123', false, 0, undefined],
  )
})

test('the repository server tells of its registry, after Zabbix knows what it is told', () => {
  const step = monitoring(site, repository, target)
  const spec = specOf(step)
  assert.deepEqual([spec.swarmHost, spec.repository, spec.registryPort], ['', true, 5000])
  assert.deepEqual(step.needs, ['setup-hosts/zabbix@p-hive3.pdns'])
})

test('passive checks are answered to Zabbix, to the host itself and to whom the site names', () => {
  const passive = siteFixture({
    rest: { monitoring: { ...monitoringFixture, passive: true, passiveSources: ['192.0.2.0/24'] }, dockerNetworks: splitNetworks },
  })
  assert.deepEqual(specOf(monitoring(passive, hive, target)).passive, { port: 10050, allowed: ['127.0.0.1', '192.168.0.7', '192.0.2.0/24'], suffix: 'pdns' })
  assert.deepEqual(specOf(monitoring(passive, repository, target)).passive?.allowed, ['127.0.0.1', '192.168.0.7', '172.31.255.128/25', '192.0.2.0/24'])
})

test('without a Zabbix nothing is reported; with one elsewhere, all hosts report there', async () => {
  const specs = async (wanted: typeof site) => {
    const facts = { caPem: 'PEM', publicKeys: [], revoked: [] }
    const state = { get: () => undefined, set: () => undefined } as never
    const { steps } = await setupHosts.steps({ site: wanted, limit: { hosts: undefined, services: undefined, volumes: undefined }, facts, state })
    return steps.flatMap(({ spec }) => (spec?.kind?.$case === 'ensureMonitoring' ? [spec.kind.value] : []))
  }
  assert.deepEqual(
    (await specs(site)).map(({ absent }) => absent),
    site.hosts.map(() => true),
  )
  const elsewhere = siteFixture({ rest: { zabbix: { ...zabbixFixture, elsewhere: { address: 'zabbix.example.com', port: 10051 } } } })
  assert.deepEqual(
    (await specs(elsewhere)).map(({ absent, server, host }) => [absent, server, host]),
    elsewhere.hosts.map(({ name }) => [false, 'zabbix.example.com', name]),
  )
})
