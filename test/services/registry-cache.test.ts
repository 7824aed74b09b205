/** What hosts pull from elsewhere is kept by a second registry, and had from it while the other one is away. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { readRegistryStorage } from '../../agent/adapters/registry/storage.ts'
import { renderRegistryConfig } from '../../agent/adapters/registry-config.ts'
import { renderCacheConfig } from '../../coordinator/phases/setup-hosts/registry-cache.ts'
import { eventually } from '../lab/harness/eventually.ts'
import { servicesObstacle } from './obstacle.ts'
import { ask, pushImage, stateOf } from './registry/push.ts'
import { Registry } from './registry/registry.ts'

/** As the public ones are: it asks nobody who he is. */
const open = (port: number): string => {
  const { auth: _, ...rest } = parse(renderRegistryConfig(port)) as Record<string, unknown>
  return stringify(rest)
}

suite('a cache of another registry', { skip: servicesObstacle() ?? false }, () => {
  let elsewhere: Registry
  let cache: Registry

  before(async () => {
    const signal = AbortSignal.timeout(120_000)
    elsewhere = await Registry.start(signal, open)
    cache = await Registry.start(signal, (port) => renderCacheConfig(port, `https://${elsewhere.server}`), elsewhere.caFile)
  })
  after(async () => {
    await cache?.end()
    await elsewhere?.end()
  })

  test('it gives what the other one has, also while that one is away, and takes nothing', async () => {
    const push = (name: string) => pushImage(elsewhere, { repository: `library/${name}`, tags: ['1'], layers: [name.repeat(2000)], built: new Date() })
    const digest = await push('pulled')
    await push('never-pulled')
    assert.equal(await stateOf(cache, 'library/pulled', '1'), 'whole')
    // What was passed on is stored behind that.
    await eventually('all of it is stored', 20_000, async () => {
      const { manifests, blobs } = await readRegistryStorage(cache.paths.storage)
      return manifests.some(({ blobs: parts }) => parts.every((part) => blobs.has(part))) || undefined
    })
    await elsewhere.down()
    assert.equal(await stateOf(cache, 'library/pulled', digest), 'whole')
    assert.notEqual(await stateOf(cache, 'library/never-pulled', '1'), 'whole')
    assert.equal((await ask(cache, 'POST', '/v2/library/pulled/blobs/uploads/', '')).status, 405)
    await elsewhere.up()
    assert.equal(await stateOf(cache, 'library/never-pulled', '1'), 'whole')
  })
})
