import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { EnsureImage, EnsureService } from '#gen/hive/v1/steps_docker.ts'
import type { Service, Site } from '../../../coordinator/inventory/site.ts'
import type { ImageSources } from '../../../coordinator/phases/deploy-services/images.ts'
import { holdImage, pinBefore } from '../../../coordinator/phases/deploy-services/images.ts'
import { deployServicesFrom } from '../../../coordinator/phases/deploy-services.ts'
import type { FactSource } from '../../../coordinator/phases/phase.ts'
import { HiveError } from '../../../proto/errors.ts'
import { facts, image, service, site } from './sample-site.ts'

const sources: ImageSources = {
  contentTags: new Map([['image_web', 'abc123']]),
  shipped: [{ name: 'debian:12', contentTag: 'cccccccccccc', registryReference: 's-hive3.site:5000/debian:12' }],
}

async function deployed(made: Site, source: FactSource = facts(made, {})) {
  const phase = deployServicesFrom(async () => sources)
  const found = (await phase.gather?.(source)) ?? { images: new Map() }
  const { steps } = await phase.steps({ site: made, limit: source.limit, facts: found, state: source.state })
  const images: { host: string; id: string; spec: EnsureImage }[] = []
  const services: { needs: readonly string[]; spec: EnsureService }[] = []
  for (const { id, host, needs, spec } of steps) {
    if (spec?.kind?.$case === 'ensureImage') images.push({ id, host, spec: spec.kind.value })
    if (spec?.kind?.$case === 'ensureService') services.push({ needs, spec: spec.kind.value })
  }
  return { images, services }
}

const withServices = (...services: Service[]): Site => site({ services, images: [image()] })

suite('images', () => {
  test('are on every host that may run the service before the service, once a host for all services', async () => {
    const { images, services } = await deployed(withServices(service(), service({ name: 'web2' })))
    assert.deepEqual(
      images.map(({ host }) => host),
      ['s-hive0.site', 's-hive1.site', 's-hive2.site'],
    )
    for (const { needs } of services)
      assert.deepEqual(
        needs,
        images.map(({ id }) => id),
      )
  })

  test('go where constraints that can be decided allow it', async () => {
    const hostsFor = async (...constraints: string[]) => (await deployed(withServices(service({ constraints })))).images.map(({ host }) => host)
    assert.deepEqual(await hostsFor('node.hostname == s-hive1'), ['s-hive1.site'])
    assert.deepEqual(await hostsFor('node.labels.first_hive!=true'), ['s-hive1.site', 's-hive2.site'])
    assert.deepEqual(await hostsFor('node.labels.first_hive == true'), ['s-hive0.site'])
    assert.equal((await hostsFor('node.labels.proxy_config == true')).length, 3)
  })

  test('that are built carry the tag of their content, also where another service names them', async () => {
    const built = service({ image: { kind: 'built', image: 'image_web' } })
    const borrowing = service({ name: 'web2', image: { kind: 'reference', reference: 's-hive3.site:5000/image_web' } })
    const { services } = await deployed(withServices(built, borrowing))
    assert.deepEqual(
      services.map(({ spec }) => spec.image),
      ['s-hive3.site:5000/image_web:abc123', 's-hive3.site:5000/image_web:abc123'],
    )
    assert.deepEqual(services[0]?.spec.auth, { server: 's-hive3.site:5000', user: 'hive', password: 'secret' })
  })

  test('that a tag mapping names are taken as they are', async () => {
    const mapped = `s-hive3.site:5000/image_web@sha256:${'b'.repeat(64)}`
    const { services } = await deployed(withServices(service({ image: { kind: 'built', image: 'image_web' }, mappedReference: mapped })))
    assert.equal(services[0]?.spec.image, mapped)
  })

  test('that the site ships come from its own registry', async () => {
    const { services, images } = await deployed(
      withServices(service({ image: { kind: 'reference', reference: 'docker.io/library/debian:12' } })),
      facts(withServices(service({ image: { kind: 'reference', reference: 'docker.io/library/debian:12' } })), { 's-hive3.site:5000/debian:12': 'sha256:d' }),
    )
    assert.equal(services[0]?.spec.image, 's-hive3.site:5000/debian:12')
    assert.equal(images[0]?.spec.digest, 'sha256:d')
  })

  test('stay at the digest that was there first, until images are refreshed', async () => {
    const made = withServices(service())
    const memory = new Map<string, unknown>()
    const digestOf = async (source: FactSource) => (await deployed(made, source)).images[0]?.spec.digest
    assert.equal(await digestOf(facts(made, { 'nginx:1': 'sha256:one' }, memory)), 'sha256:one')
    assert.equal(await digestOf(facts(made, { 'nginx:1': 'sha256:two' }, memory)), 'sha256:one')
    assert.equal(await digestOf(facts(made, { 'nginx:1': 'sha256:two' }, memory, true)), 'sha256:two')
    assert.equal(await digestOf(facts(made, {}, memory, true)), 'sha256:two')
  })

  test('are held where a service was taken back to, and remember what was there before', async () => {
    const made = withServices(service())
    const memory = new Map<string, unknown>()
    await deployed(made, facts(made, { 'nginx:1': 'sha256:one' }, memory))
    const source = facts(made, { 'nginx:1': 'sha256:two' }, memory, true)
    await deployed(made, source)
    assert.equal(pinBefore('nginx:1', source.state), 'sha256:one')
    holdImage(service().name, { reference: 'nginx:1', digest: 'sha256:one', since: 'then' }, source.state)
    const { images, services } = await deployed(made, facts(made, { 'nginx:1': 'sha256:three' }, memory, true))
    assert.deepEqual([images[0]?.spec.digest, services[0]?.spec.imageDigest], ['sha256:one', 'sha256:one'])
    holdImage(service().name, undefined, source.state)
    assert.equal((await deployed(made, facts(made, {}, memory))).images[0]?.spec.digest, 'sha256:three')
  })

  test('can be planned before any host is there to ask', async () => {
    const made = withServices(service())
    const nobody: FactSource = { ...facts(made, {}), resolveImage: () => Promise.reject(new HiveError('unreachable', 'no host')) }
    assert.equal((await deployed(made, nobody)).images[0]?.spec.digest, '')
    const refused: FactSource = { ...facts(made, {}), resolveImage: () => Promise.reject(new HiveError('denied', 'unauthorized')) }
    assert.equal((await deployed(made, refused)).images[0]?.spec.digest, '')
  })
})

suite('services', () => {
  test('know all servers of the stage by name, their own entries first', async () => {
    const { services } = await deployed(withServices(service({ hosts: { 's-hive1.site': '1.2.3.4', extra: '5.6.7.8' } })))
    assert.deepEqual(services[0]?.spec.hosts, {
      's-hive0.site': '10.0.0.10',
      's-hive1.site': '1.2.3.4',
      's-hive2.site': '10.0.0.12',
      's-hive3.site': '10.0.0.13',
      extra: '5.6.7.8',
    })
  })

  test('log to their host, which passes it on, unless they say otherwise', async () => {
    const { services } = await deployed(withServices(service(), service({ name: 'own', logging: { driver: 'local', options: {} } })))
    assert.deepEqual(services[0]?.spec.logging, {
      driver: 'syslog',
      options: { 'syslog-address': 'udp://127.0.0.1:10514', 'syslog-facility': 'local0', tag: 'web' },
    })
    assert.deepEqual(services[1]?.spec.logging, { driver: 'local', options: {} })
  })

  test('that boot an init system get what it needs, once', async () => {
    const { services } = await deployed(
      withServices(service({ standalone: true, capAdd: ['SYSLOG'], mounts: [{ type: 'tmpfs', source: '', target: '/run', readOnly: false }] })),
    )
    const spec = services[0]?.spec
    assert.equal(spec?.labels['HIVE_STANDALONE'], 'True')
    assert.deepEqual(spec?.mounts.map((mount) => mount.target).sort(), ['/run', '/sys/fs/cgroup', '/tmp'])
    assert.equal(spec?.capAdd.length, 5)
  })

  test('of other stages are left out', async () => {
    assert.deepEqual((await deployed(withServices(service({ stages: ['production'] })))).services, [])
  })
})
