import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Site } from '../../../coordinator/inventory/site.ts'
import { buildImages } from '../../../coordinator/phases/build-images.ts'
import type { FactSource, Limit } from '../../../coordinator/phases/phase.ts'
import { everything, exampleSite } from './example-site.ts'

const only = (service: string): Limit => ({ ...everything, services: new Set([service]) })

const { site, input } = exampleSite()

test('each image is built on the repository server, two at a time, and a limit leaves the others out', async () => {
  const { steps } = await buildImages.steps(input({ lost: [] }))
  assert.deepEqual(
    steps.map(({ id }) => id),
    ['image_powerdns', 'image_pdnsdb', 'image_web'].map((name) => `build-images/${name}@p-hive3.pdns`),
  )
  const lanes = steps.map(({ spec }) => (spec?.kind?.$case === 'buildImage' ? spec.kind.value.lane : undefined))
  assert.deepEqual(lanes, [0, 1, 0])
  const limited = await buildImages.steps(input({ lost: [] }, only('web')))
  assert.deepEqual(
    limited.steps.map(({ id }) => id),
    ['build-images/image_web@p-hive3.pdns'],
  )
})

test('a base image of somebody else’s registry is asked for without the site’s own password', async () => {
  const authOf = async (made: Site) => {
    const { steps } = await buildImages.steps({ ...input({ lost: [] }, only('web')), site: made })
    const kind = steps.at(-1)?.spec?.kind
    return kind?.$case === 'buildImage' ? kind.value.fromAuth : undefined
  }
  const [image] = site().images.filter(({ service }) => service === 'web')
  assert.ok(image !== undefined)
  const from = (reference: string): Site => ({
    ...site(),
    images: [{ ...image, from: reference }],
    externalRegistries: [{ server: 'https://index.docker.io/v1/', user: 'hub', password: 'p' }],
  })
  assert.equal((await authOf(from('quay.io/some/base:1')))?.password, '')
  assert.equal((await authOf(from('some/base:1')))?.user, 'hub')
  assert.equal((await authOf(from(`${site().registry.host}:${site().registry.port}/base:1`)))?.user, site().registry.user)
})

test('an image that is pulled on this stage is the base of others as it is pulled', async () => {
  const [web, other] = site().images
  assert.ok(web !== undefined && other !== undefined)
  const made: Site = {
    ...site(),
    images: [
      { ...web, pullFrom: 'registry.example.com/base:3' },
      { ...other, from: `${web.repository}:latest` },
    ],
  }
  const { steps } = await buildImages.steps({ ...input({ lost: [] }), site: made })
  const [step] = steps
  assert.equal(steps.length, 1)
  assert.equal(step?.spec?.kind?.$case === 'buildImage' ? step.spec.kind.value.from : '', 'registry.example.com/base:3')
  assert.deepEqual(step?.needs, [])
})

test('what the registry lost and a host has is pushed from there before anybody builds; what nobody has is built', async () => {
  const { steps } = await buildImages.steps(input({ lost: [] }))
  const contentTags = new Map(steps.flatMap(({ spec }) => (spec?.kind?.$case === 'buildImage' ? [[spec.kind.value.name, spec.kind.value.contentTag]] : [])))
  const { host, port } = site().registry
  const tag = contentTags.get('image_web') ?? ''
  const name = `${host}:${port}/image_web:${tag}`
  const source = (tags: ReadonlyMap<string, string> | undefined): FactSource =>
    ({
      site: site(),
      limit: everything,
      state: input(undefined).state,
      registryTags: async () => tags,
      imagesOnHosts: async () => [{ host: 'p-hive1.pdns', images: [{ tags: [name], digests: [] }] }],
    }) as unknown as FactSource
  const facts = await buildImages.gather?.(source(new Map([[`image_pdnsdb:${contentTags.get('image_pdnsdb')}`, 'sha256:d']])))
  assert.ok(facts !== undefined)
  const made = (await buildImages.steps(input(facts))).steps
  const push = `build-images/push-image_web:${tag}@p-hive1.pdns`
  assert.deepEqual(
    made.map(({ id, needs }) => [id, needs.filter((need) => need === push).length]),
    [
      [push, 0],
      ['build-images/image_powerdns@p-hive3.pdns', 0],
      ['build-images/image_pdnsdb@p-hive3.pdns', 0],
      ['build-images/image_web@p-hive3.pdns', 1],
    ],
  )
  assert.deepEqual(await buildImages.gather?.(source(undefined)), { lost: [] })
})
