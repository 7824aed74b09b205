/** build-volumes and deploy-services where volumes are mirrored with DRBD. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { EnsureVolume } from '#gen/hive/v1/steps_docker.ts'
import type { EnsureDrbdResource, EnsureDrbdVolume } from '#gen/hive/v1/steps_storage.ts'
import type { Host, Site, Volume } from '../../../coordinator/inventory/site.ts'
import { sharedSecretOf } from '../../../coordinator/phases/build-volumes/shared-secret.ts'
import { buildVolumes } from '../../../coordinator/phases/build-volumes.ts'
import { deployServicesFrom } from '../../../coordinator/phases/deploy-services.ts'
import { overlayState } from '../../../coordinator/run/stage-state.ts'
import { everything, facts, service, site, volume } from './sample-site.ts'
import { settings } from './site-fixture.ts'

const mirrored = (changes: Partial<Volume> = {}): Volume =>
  volume({ kind: 'drbd', deviceId: 7, size: '20G', sizeBytes: 20n * 2n ** 30n, fstype: 'xfs', ...changes })
const names = ['s-hive0.site', 's-hive1.site', 's-hive2.site']

async function built(made: Site, known = facts(made, {}), limit = everything) {
  const { steps, unsupported } = await buildVolumes.steps({ site: made, limit, facts: undefined, state: known.state })
  assert.deepEqual(unsupported, [])
  const of = <T>(kind: string) =>
    steps.flatMap((step) => (step.spec?.kind?.$case === kind ? [{ id: step.id, host: step.host, needs: step.needs, spec: step.spec.kind.value as T }] : []))
  return {
    steps,
    resources: of<EnsureDrbdResource>('ensureDrbdResource'),
    volumes: of<EnsureDrbdVolume>('ensureDrbdVolume'),
    docker: of<EnsureVolume>('ensureVolume'),
  }
}

/** A site whose hosts with these numbers have no disk for mirrored volumes. */
const without = (numbers: readonly number[], changes: Partial<Site> = {}): Site => {
  const made = site(changes)
  return { ...made, hosts: made.hosts.map((host): Host => ({ ...host, settings: { ...settings, noMirroredDevice: numbers.includes(host.index) } })) }
}

suite('a mirrored volume', () => {
  test('is a resource on every hive host, told to all in the same words', async () => {
    const { resources } = await built(site({ volumes: [mirrored()] }))
    assert.deepEqual(
      resources.map(({ host }) => host),
      names,
    )
    const [first, ...others] = resources.map(({ spec }) => spec)
    for (const other of others) assert.deepEqual(other, first)
    const { sharedSecret, ...rest } = first as EnsureDrbdResource
    assert.match(sharedSecret, /^[\w-]{43}$/)
    assert.deepEqual(rest, {
      name: 'data',
      minor: 7,
      port: 7007,
      volumeGroup: 'drbdvg',
      thinPool: 'drbdpool',
      sizeBytes: 20n * 2n ** 30n,
      nodes: names.map((name, nodeId) => ({ name, address: `10.0.0.${10 + nodeId}`, nodeId, diskless: false })),
      maxPeers: 7,
    })
  })

  test('gets its data and file system on the first hive host, once every host has done its part', async () => {
    const { volumes } = await built(site({ volumes: [mirrored()] }))
    assert.deepEqual(volumes, [
      {
        id: 'build-volumes/drbd-volume data@s-hive0.site',
        host: 's-hive0.site',
        needs: names.map((name) => `build-volumes/drbd-resource data@${name}`),
        spec: { name: 'data', minor: 7, fstype: 'xfs', sizeBytes: 20n * 2n ** 30n, diskful: names, noFormat: false, thin: true, volumeGroup: 'drbdvg' },
      },
    ])
  })

  test('gets them on the first host that holds a disk where the first hive host holds none', async () => {
    for (const made of [site({ volumes: [mirrored({ diskless: ['s-hive0.site'] })] }), without([0], { volumes: [mirrored()] })]) {
      const { volumes, resources } = await built(made)
      assert.deepEqual([volumes.length, volumes[0]?.host, volumes[0]?.spec.diskful], [1, 's-hive1.site', ['s-hive1.site', 's-hive2.site']])
      assert.deepEqual(
        resources[0]?.spec.nodes.map(({ diskless }) => diskless),
        [true, false, false],
      )
    }
  })

  test('is a docker volume as hive-builder makes it, on every hive host, that waits for nothing', async () => {
    const { docker } = await built(site({ volumes: [mirrored()] }))
    assert.deepEqual(
      docker.map(({ host, needs }) => ({ host, needs })),
      names.map((host) => ({ host, needs: [] })),
    )
    assert.deepEqual(docker[0]?.spec, { name: 'data', driver: 'local', options: { type: 'xfs', device: '/dev/drbd7' }, directory: '', nfsFolder: undefined })
  })

  test('waits for no other volume', async () => {
    const { steps } = await built(site({ volumes: [mirrored(), mirrored({ name: 'logs', deviceId: 8 })] }))
    assert.equal(steps.length, 18)
    for (const made of steps) for (const need of made.needs) assert.equal(need.includes('logs'), made.id.includes('logs'))
  })

  test('is never formatted where the site says hive_no_format', async () => {
    const { volumes } = await built(site({ volumes: [mirrored()], variable: (_, name) => (name === 'hive_no_format' ? 'True' : undefined) }))
    assert.equal(volumes[0]?.spec.noFormat, true)
  })

  test('lies in the volume group that it names, with that one’s pool', async () => {
    const made = site({ volumes: [mirrored({ volumeGroup: 'fast' })] })
    const pools = [...settings.mirroredPools, { volumeGroup: 'fast', thinPool: undefined, devices: ['/dev/sdc'] }]
    const { resources } = await built({ ...made, hosts: made.hosts.map((host) => ({ ...host, settings: { ...settings, mirroredPools: pools } })) })
    assert.deepEqual([resources[0]?.spec.volumeGroup, resources[0]?.spec.thinPool], ['fast', ''])
  })

  test('keeps node ids and secret from run to run; a plan leaves none behind', async () => {
    const made = site({ volumes: [mirrored()] })
    const memory = new Map<string, unknown>()
    const known = facts(made, {}, memory)
    await built(made, { ...known, state: overlayState(known.state) })
    assert.equal(memory.size, 0)
    const first = (await built(made, known)).resources[0]?.spec
    const later = {
      ...made,
      hosts: [...made.hosts, { ...(made.hosts[0] as Host), name: 's-hive-1.site', shortName: 's-hive-1', index: 4, isFirstHive: false }],
    }
    const second = (await built(later, facts(later, {}, memory))).resources[0]?.spec
    assert.equal(second?.sharedSecret, first?.sharedSecret)
    assert.deepEqual(
      second?.nodes.map(({ name, nodeId }) => [name, nodeId]),
      [...names.map((name, id) => [name, id]), ['s-hive-1.site', 3]],
    )
  })

  test('is left alone outside the limit', async () => {
    const made = site({ volumes: [mirrored(), mirrored({ name: 'logs', deviceId: 8 })] })
    const { steps } = await built(made, facts(made, {}), { ...everything, hosts: new Set(['s-hive1.site']), volumes: new Set(['logs']) })
    assert.deepEqual(
      steps.map(({ id }) => id),
      ['build-volumes/drbd-resource logs@s-hive1.site', 'build-volumes/drbd-file-system logs@s-hive1.site', 'build-volumes/logs@s-hive1.site'],
    )
  })

  test('is DRBD’s on nspawn hosts, too, where the stage says so', async () => {
    const drbd = (_: string, name: string) => (name === 'hive_nspawn_drbd' ? true : undefined)
    assert.equal((await built(site({ effectiveProvider: 'nspawn', variable: drbd, volumes: [mirrored()] }))).resources.length, 3)
    assert.equal((await built(site({ effectiveProvider: 'nspawn', volumes: [mirrored()] }))).resources.length, 0)
  })
})

test('secrets of resources differ, and tell nothing of the one they come from', () => {
  const memory = new Map<string, unknown>()
  const { state } = facts(site(), {}, memory)
  const secrets = ['a', 'b', 'a'].map((name) => sharedSecretOf(name, state))
  assert.equal(secrets[0], secrets[2])
  assert.notEqual(secrets[0], secrets[1])
  assert.equal(secrets.includes(String(memory.get('drbdSecret'))), false)
  memory.set('drbdSecret', 'damaged')
  assert.throws(() => sharedSecretOf('a', state), /damaged/)
})

suite('services', () => {
  const mounting = service({ mounts: [{ type: 'volume', source: 'data', target: '/data', readOnly: false }], constraints: ['node.labels.repository != true'] })
  const deployed = async (made: Site) => {
    const phase = deployServicesFrom(async () => ({ contentTags: new Map(), shipped: [] }))
    const source = facts(made, {})
    const found = (await phase.gather?.(source)) ?? { images: new Map() }
    const { steps } = await phase.steps({ site: made, limit: everything, facts: found, state: source.state })
    const kinds = steps.map(({ host, spec }) => ({ host, kind: spec?.kind }))
    return {
      images: kinds.flatMap(({ host, kind }) => (kind?.$case === 'ensureImage' ? [host] : [])),
      constraints: kinds.flatMap(({ kind }) => (kind?.$case === 'ensureService' ? kind.value.constraints : [])),
    }
  }

  test('stay away from hosts that hold no disk of a volume they mount, and so do their images', async () => {
    assert.deepEqual(await deployed(site({ services: [mounting], volumes: [mirrored({ diskless: ['s-hive2.site'] })] })), {
      images: ['s-hive0.site', 's-hive1.site'],
      constraints: ['node.labels.repository != true', 'node.hostname!=s-hive2'],
    })
    assert.deepEqual((await deployed(without([1], { services: [mounting], volumes: [mirrored()] }))).images, ['s-hive0.site', 's-hive2.site'])
  })

  test('get no constraint where every host holds a disk, the volume is not theirs, or hosts share a folder', async () => {
    const own = ['node.labels.repository != true']
    const diskless = mirrored({ diskless: ['s-hive2.site'] })
    assert.deepEqual((await deployed(site({ services: [mounting], volumes: [mirrored()] }))).constraints, own)
    assert.deepEqual((await deployed(site({ services: [mounting], volumes: [{ ...diskless, name: 'other' }] }))).constraints, own)
    assert.deepEqual((await deployed(site({ effectiveProvider: 'nspawn', services: [mounting], volumes: [diskless] }))).constraints, own)
  })
})
