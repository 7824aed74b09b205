/** Old builds go from a real registry, and what is used stays whole. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { useSiteCa } from '../../agent/adapters/ansible/registry.ts'
import { writable } from '../../agent/adapters/gate.ts'
import { endReadOnly } from '../../agent/adapters/registry/collect-garbage.ts'
import type { PruneRules } from '../../agent/adapters/registry/decide-prune.ts'
import { readRegistryStorage, totalBytes, unusedBytes } from '../../agent/adapters/registry/storage.ts'
import { readOnlyConfig } from '../../agent/adapters/registry-config.ts'
import { clean, judge, prune, type TidyOptions } from '../../agent/watchers/registry/tidy.ts'
import { servicesObstacle } from './obstacle.ts'
import { ask, beginUpload, pushImage, pushIndex, stateOf } from './registry/push.ts'
import { Registry } from './registry/registry.ts'

const day = 86_400_000
const tag = (n: number): string => `${n}`.repeat(12)

suite('upkeep of a registry', { skip: servicesObstacle() ?? false }, () => {
  let registry: Registry
  const options = (more: Partial<TidyOptions> = {}): TidyOptions => ({
    settings: { server: registry.server, user: registry.access.user, password: registry.access.password },
    ca: registry.access.ca,
    signal: AbortSignal.timeout(60_000),
    now: () => new Date(),
    log: () => undefined,
    process: async () => registry.process,
    paths: registry.paths,
    ...more,
  })
  const rules = (more: Partial<PruneRules> = {}): PruneRules => ({ keep: 2, used: [], repositories: [], now: new Date(), ...more })
  const tidy = (own: Partial<PruneRules> = {}, more: Partial<TidyOptions> = {}) => writable(() => prune(rules(own), options(more)))
  const web = (reference: string): Promise<string> => stateOf(registry, 'image_web', reference)
  const layer = (name: string): string => name.repeat(20_000)
  const build = (n: number, more: { readonly repository?: string; readonly tags?: readonly string[] } = {}): Promise<string> =>
    pushImage(registry, {
      repository: 'image_web',
      tags: [tag(n)],
      layers: [layer('base'), layer(`${more.repository ?? 'web'} ${n}`)],
      built: new Date(Date.now() - (10 - n) * day),
      ...more,
    })

  before(async () => {
    registry = await Registry.start(AbortSignal.timeout(120_000))
    useSiteCa(registry.caFile)
  })
  after(async () => {
    useSiteCa('/etc/hive-agent/pki/ca.pem')
    await registry?.end()
  })

  test('what it has is read with tags, sizes and times', async () => {
    const digest = await build(1)
    await build(2, { tags: [tag(2), 'latest'] })
    const storage = await readRegistryStorage(registry.paths.storage)
    const found = storage.manifests.find((manifest) => manifest.digest === digest)
    assert.deepEqual(found?.tags, [tag(1)])
    assert.ok(found.size > 160_000 && found.size < 300_000, String(found.size))
    assert.equal(Math.round((Date.now() - (found.built?.getTime() ?? 0)) / day), 9)
    assert.equal(unusedBytes(storage), 0)
    assert.equal(storage.manifests.find(({ tags }) => tags.includes('latest'))?.tags.length, 2)
  })

  test('the newest, the used and the named stay whole, the others go with what only they needed', async () => {
    for (const n of [3, 4, 5, 6]) await build(n)
    const untagged = await build(7, { tags: [] })
    const foreign = await build(1, { repository: 'team/tool' })
    const planned = judge(await readRegistryStorage(registry.paths.storage), rules({ used: [`other-name:5000/image_web:${tag(3)}`] }))
    const { verdicts, freedBytes } = await tidy({ used: [`other-name:5000/image_web:${tag(3)}`] })
    assert.deepEqual(
      verdicts.map(({ manifest: { tags }, why }) => `${[...tags].sort().join(' ')}: ${why}`),
      [
        ': among the 2 newest',
        `${tag(6)}: among the 2 newest`,
        `${tag(5)}: an old build`,
        `${tag(4)}: an old build`,
        `${tag(3)}: in use`,
        `${tag(2)} latest: tag latest`,
        `${tag(1)}: an old build`,
      ],
    )
    assert.deepEqual(await Promise.all([1, 4, 5].map((n) => web(tag(n)))), ['gone', 'gone', 'gone'])
    assert.deepEqual(await Promise.all([tag(2), tag(3), tag(6), 'latest', untagged].map(web)), Array(5).fill('whole'))
    assert.equal(await stateOf(registry, 'team/tool', foreign), 'whole')
    assert.ok(freedBytes > 300_000, String(freedBytes))
    assert.equal(planned.freedBytes, freedBytes)
    assert.equal(unusedBytes(await readRegistryStorage(registry.paths.storage)), 0)
  })

  test('what went can be pushed again, whole', async () => {
    await build(4)
    assert.equal(await web(tag(4)), 'whole')
  })

  test('an index stays with what it is made of, and goes with it', async () => {
    const parts = [await build(1, { repository: 'image_multi', tags: [] }), await build(2, { repository: 'image_multi', tags: [] })]
    await pushIndex(registry, 'image_multi', tag(1), parts)
    await tidy({ keep: 1 })
    assert.equal(await stateOf(registry, 'image_multi', tag(1)), 'whole')
    await build(9, { repository: 'image_multi', tags: [tag(9)] })
    await tidy({ keep: 1 })
    assert.deepEqual(await Promise.all([tag(1), ...parts].map((reference) => stateOf(registry, 'image_multi', reference))), ['gone', 'gone', 'gone'])
    assert.equal(await stateOf(registry, 'image_multi', tag(9)), 'whole')
  })

  test('while garbage is collected hosts can pull, and a push is refused', async () => {
    await build(1)
    const seen: string[] = []
    const collect = async (signal: AbortSignal): Promise<void> => {
      seen.push(await web('latest'))
      seen.push(String((await ask(registry, 'POST', '/v2/image_web/blobs/uploads/', '')).status))
      await registry.process.collect(signal)
    }
    await tidy({}, { process: async () => ({ ...registry.process, collect }) })
    assert.deepEqual(seen, ['whole', '405'])
    await beginUpload(registry, 'image_none')
  })

  test('nothing goes while something is uploaded', async () => {
    await build(1)
    await assert.rejects(tidy(), /image_none is being uploaded/)
    assert.equal(await web(tag(1)), 'whole')
    // The one that broke off an hour and more ago holds nobody up.
    const later = new Date(Date.now() + 2 * 3_600_000)
    await tidy({}, { now: () => later })
    assert.equal(await web(tag(1)), 'gone')
  })

  test('layers that wait for their manifest are an upload too', async () => {
    const later = new Date(Date.now() + 2 * 3_600_000)
    await build(8)
    await assert.doesNotReject(tidy({}, { now: () => later }))
    const { pushBlob } = await import('./registry/push.ts')
    await pushBlob(registry, 'image_web', layer('half of an image'))
    await assert.rejects(tidy(), /image_(web|none).* is being uploaded/)
  })

  test('a collection that fails leaves a registry that can be written to', async () => {
    const later = new Date(Date.now() + 2 * 3_600_000)
    const collect = async (): Promise<void> => Promise.reject(new Error('the disk is gone'))
    await assert.rejects(
      writable(() => clean(options({ process: async () => ({ ...registry.process, collect }), now: () => later }))),
      /the disk is gone/,
    )
    await build(9)
    assert.equal(await web(tag(9)), 'whole')
  })

  test('what an agent that was killed left for reading only is writable when the next one starts', async () => {
    const config = readFileSync(registry.paths.config, 'utf8')
    writeFileSync(registry.paths.config, readOnlyConfig(config))
    await registry.process.restart(AbortSignal.timeout(20_000))
    await assert.rejects(beginUpload(registry, 'image_web'), /405/)
    const end = (): Promise<boolean> => writable(() => endReadOnly(async () => registry.process, AbortSignal.timeout(20_000), registry.paths.config))
    assert.equal(await end(), true)
    assert.equal(readFileSync(registry.paths.config, 'utf8'), config)
    assert.equal(await end(), false)
    await beginUpload(registry, 'image_web')
  })

  test('an empty registry has nothing to take away', async () => {
    const { storage } = registry.paths
    assert.ok(totalBytes(await readRegistryStorage(storage)) > 0)
    assert.deepEqual((await readRegistryStorage(`${storage}/none`)).manifests, [])
  })
})
