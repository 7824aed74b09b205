import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryManifest } from '#gen/hive/v1/registry.ts'
import { previousBuild } from '../../../coordinator/images/previous-build.ts'

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`
const manifest = (n: number, tags: readonly string[], more: Partial<RegistryManifest> = {}): RegistryManifest => ({
  repository: 'image_web',
  digest: digest(n),
  tags: [...tags],
  size: 1n,
  built: new Date(n * 1000),
  pushed: new Date(9000),
  children: [],
  ...more,
})
const repository = 'reg:5000/image_web'
const all = [
  manifest(2, ['222222222222']),
  manifest(3, ['333333333333', 'latest']),
  manifest(1, []),
  manifest(4, ['444444444444'], { repository: 'image_other' }),
]
const target = (running: string, to?: string): string => previousBuild(repository, all, `${repository}${running}`, to).reference.slice(repository.length)

test('the build before the one that runs, by age', () => {
  assert.equal(target(':333333333333'), ':222222222222')
  assert.equal(target(':latest'), ':222222222222')
  assert.equal(target(':222222222222'), `@${digest(1)}`)
})

test('a build that is named, by its tag or by the beginning of its digest', () => {
  assert.equal(target(':222222222222', '333333333333'), ':333333333333')
  assert.equal(target(':222222222222', 'latest'), ':333333333333')
  assert.equal(target(':222222222222', 'sha256:111111'), `@${digest(1)}`)
})

test('where there is none, the builds there are', () => {
  assert.throws(() => target(`@${digest(1)}`), /no older build of image_web/)
  assert.throws(() => target(':999999999999'), /is not in the registry/)
  assert.throws(
    () => target(':222222222222', '444444444444'),
    (error: { readonly message: string; readonly hint?: string }) =>
      /no build 444444444444/.test(error.message) && /333333333333, 222222222222/.test(error.hint ?? ''),
  )
  assert.throws(() => previousBuild(repository, [], `${repository}:1`, undefined), /nothing to go back to/)
})

test('what an index is made of is no build of its own', () => {
  const index = manifest(5, ['555555555555'], { children: [digest(1)] })
  assert.throws(() => previousBuild(repository, [manifest(1, []), index], `${repository}:555555555555`, undefined), /no older build/)
})
