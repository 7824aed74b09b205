/** What setup-hosts does on hosts that are to have mirrored volumes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { EnsurePackages, EnsureSysctl } from '#gen/hive/v1/steps_host.ts'
import type { EnsureVolumeGroup } from '#gen/hive/v1/steps_storage.ts'
import type { Site } from '../../../coordinator/inventory/site.ts'
import { setupHosts } from '../../../coordinator/phases/setup-hosts.ts'
import { obstacles } from '../../../coordinator/run/phase-work.ts'
import { everything, volume } from './sample-site.ts'
import { hostFixture, siteFixture } from './site-fixture.ts'

const facts = { caPem: '', publicKeys: [], revoked: [] }
const mirrored = { effectiveProvider: 'prepared', provider: 'prepared', volumes: [volume({ kind: 'drbd', stages: ['private'] })] }

async function stepsOf(site: Site, allow?: ReadonlySet<string>) {
  const state = { get: () => undefined, set: () => undefined }
  return (await setupHosts.steps({ site, limit: everything, facts, state, ...(allow === undefined ? {} : { allow }) })).steps
}
const names = (steps: Awaited<ReturnType<typeof stepsOf>>, host: string) =>
  steps.filter((step) => step.host === host && /drbd|volume-group/.test(step.id)).map(({ id }) => id.replace(/^setup-hosts\/(.*)@.*/, '$1'))
const groupOn = (steps: Awaited<ReturnType<typeof stepsOf>>, host: string) => {
  const kind = steps.find((step) => step.id === `setup-hosts/volume-group drbdvg@${host}`)?.spec?.kind
  return kind?.value as EnsureVolumeGroup | undefined
}

suite('hosts that mirror', () => {
  test('get DRBD, its settings, buffers and volume groups; the repository server gets none', async () => {
    const steps = await stepsOf(siteFixture({ rest: mirrored }))
    assert.deepEqual(names(steps, 'p-hive0.pdns'), ['drbd-module', 'drbd-settings', 'drbd-buffers', 'volume-group drbdvg'])
    assert.deepEqual(names(steps, 'p-hive3.pdns'), [])
    assert.deepEqual(groupOn(steps, 'p-hive0.pdns'), { name: 'drbdvg', devices: ['/dev/sdb'], thinPool: 'drbdpool', partitionLabel: '', take: [] })
    const buffers = steps.find(({ id }) => id === 'setup-hosts/drbd-buffers@p-hive0.pdns')?.spec?.kind?.value as EnsureSysctl
    assert.deepEqual(buffers.values, { 'net.ipv4.tcp_rmem': '131072 1048576 16777216', 'net.ipv4.tcp_wmem': '131072 1048576 16777216' })
    const packages = steps.find(({ id }) => id === 'setup-hosts/packages@p-hive0.pdns')?.spec?.kind?.value as EnsurePackages
    for (const list of [packages.apt, packages.dnf]) for (const name of ['lvm2', 'xfsprogs', 'e2fsprogs']) assert.ok(list.includes(name), name)
  })

  test('have a volume group for each pool, and none without a disk', async () => {
    const pools = [
      { volumeGroup: 'drbdvg', thinPool: 'drbdpool', devices: ['/dev/sdb'] },
      { volumeGroup: 'fast', thinPool: undefined, devices: ['/dev/sdc'] },
    ]
    const hosts = [hostFixture(0, 3, { mirroredPools: pools, partitionLabel: 'gpt' }), hostFixture(1, 3, { noMirroredDevice: true }), hostFixture(2, 3)]
    const steps = await stepsOf(siteFixture({ hosts, rest: mirrored }))
    assert.deepEqual(names(steps, 'p-hive0.pdns').slice(-2), ['volume-group drbdvg', 'volume-group fast'])
    assert.equal(groupOn(steps, 'p-hive0.pdns')?.partitionLabel, 'gpt')
    assert.deepEqual(names(steps, 'p-hive1.pdns'), ['drbd-module', 'drbd-settings', 'drbd-buffers'])
  })

  test('are those of a stage with a mirrored volume, not where it has only disks for them or hosts share folders', async () => {
    const touched = async (rest: Partial<Site>, disk?: number) => {
      const hosts = [0, 1, 2].map((index) => hostFixture(index, 3, disk === undefined ? {} : { mirroredDiskSizeGb: disk }))
      return names(await stepsOf(siteFixture({ hosts, rest: { effectiveProvider: 'prepared', ...rest } })), 'p-hive0.pdns').length > 0
    }
    assert.equal(await touched({}), false)
    assert.equal(await touched({ volumes: [volume({ kind: 'drbd', stages: ['production'] })] }), false)
    assert.equal(await touched({ volumes: mirrored.volumes }), true)
    assert.equal(await touched({}, 10), false)
    assert.equal(await touched({ effectiveProvider: 'nspawn', volumes: mirrored.volumes }, 10), false)
    assert.equal(await touched({ effectiveProvider: 'nspawn', volumes: mirrored.volumes, variable: (_, name) => name === 'hive_nspawn_drbd' }), true)
  })

  test('look for the disk of an EC2 instance under either NVMe number', async () => {
    const devices = ['/dev/sdb', '/dev/nvme1n1', '/dev/sda']
    const hosts = [0, 1].map((index) => hostFixture(index, 2, { mirroredPools: [{ volumeGroup: 'drbdvg', thinPool: 'drbdpool', devices }] }))
    const found = async (effectiveProvider: string) =>
      groupOn(await stepsOf(siteFixture({ hosts, rest: { ...mirrored, effectiveProvider } })), 'p-hive0.pdns')?.devices
    assert.deepEqual(await found('aws'), [...devices, '/dev/nvme0n1'])
    assert.deepEqual(await found('prepared'), devices)
  })

  test('use a disk that holds something only where it is named with its host, and then the named step is not refused', async () => {
    const site = siteFixture({ rest: mirrored })
    const allow = new Set(['p-hive1:/dev/sdb', 'p-hive2.pdns:/dev/disk/by-id/x', 'p-hive0.pdns', '/dev/sdb', 'p-hive9:/dev/sdb'])
    const steps = await stepsOf(site, allow)
    assert.deepEqual(
      [0, 1, 2].map((index) => groupOn(steps, `p-hive${index}.pdns`)?.take),
      [[], ['/dev/sdb'], ['/dev/disk/by-id/x']],
    )
    const planned = steps
      .filter(({ id }) => id.includes('volume-group'))
      .map(({ id, host, title }) => ({
        phase: 'setup-hosts' as const,
        stepId: id,
        host,
        title,
        outcome: { kind: 'change' as const, reason: '', before: '', after: '', disruption: Disruption.DESTROY },
      }))
    const refused = obstacles({ steps, planned, blobs: new Map(), notices: [], unreachable: [], planCalls: 0, errors: [] }, new Set(['p-hive1:/dev/sdb']))
    assert.deepEqual(
      refused.map(({ host }) => host),
      ['p-hive0.pdns'],
    )
  })
})
