import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { archivedImage, familiarName, rootFilesystemReference, siteArchives } from '../../../coordinator/ansible/archives.ts'
import { tar } from '../../../coordinator/ansible/content.ts'

let work = ''
let count = 0
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'hive-archives-'))
})
after(() => rm(work, { recursive: true, force: true }))

let site: Parameters<typeof siteArchives>[0]
beforeEach(async () => {
  count += 1
  const root = join(work, String(count))
  await mkdir(join(root, 'images'), { recursive: true })
  site = { root, contextDir: join(root, '.hive/private'), registry: { host: 'repo', port: 5000 }, hosts: [], variable: () => undefined }
})

const saved = (...names: string[]) =>
  tar([{ path: 'manifest.json', executable: false, link: undefined, content: Buffer.from(JSON.stringify([{ RepoTags: names }])) }])
const put = (name: string, content: Buffer | string): Promise<void> => writeFile(join(site.root, 'images', name), content)

test('a root file system is named by its file', () => {
  assert.equal(rootFilesystemReference('debian_12.rootfs.tar'), 'debian:12')
  assert.equal(rootFilesystemReference('my_base_1.2-x.rootfs.tar.gz'), 'my_base:1.2-x')
  assert.equal(rootFilesystemReference('procube%2Fnginx_latest.rootfs.tar'), 'procube/nginx:latest')
  assert.equal(rootFilesystemReference('debian_12.tar'), undefined)
})

test('names are compared in their short form', () => {
  assert.equal(familiarName('docker.io/library/debian'), 'debian:latest')
  assert.equal(familiarName('library/debian:12'), 'debian:12')
  assert.equal(familiarName('ghcr.io/a/b:1'), 'ghcr.io/a/b:1')
  assert.equal(familiarName('reg:5000/a'), 'reg:5000/a:latest')
})

test('an archive of docker save is named by what it holds', async () => {
  await put('base.tar', await saved('mariadb:10.4', 'docker.io/library/alpine:3'))
  await put('packed.tar.gz', gzipSync(await saved('ghcr.io/a/b:1')))
  const archives = await siteArchives(site)
  assert.deepEqual(
    archives.flatMap(({ references }) => references.map(({ name, registryReference }) => [name, registryReference])),
    [
      ['alpine:3', 'repo:5000/alpine:3'],
      ['mariadb:10.4', 'repo:5000/mariadb:10.4'],
      ['ghcr.io/a/b:1', 'repo:5000/a/b:1'],
    ],
  )
  assert.equal(archivedImage(archives, 'docker.io/library/alpine:3')?.name, 'alpine:3')
  assert.equal(archivedImage(archives, 'repo:5000/alpine:3')?.name, 'alpine:3')
  assert.equal(archivedImage(archives, 'alpine'), undefined)
})

test('the content tag follows the content and not the time', async () => {
  await put('debian_12.rootfs.tar', 'one')
  const tagNow = async () => (await siteArchives(site))[0]?.references[0]?.contentTag
  const first = await tagNow()
  assert.match(first ?? '', /^[0-9a-f]{12}$/)
  await utimes(join(site.root, 'images/debian_12.rootfs.tar'), 5, 5)
  assert.equal(await tagNow(), first)
  await put('debian_12.rootfs.tar', 'two')
  assert.notEqual(await tagNow(), first)
})

test('a site without archives is fine, and a folder that is named must be there', async () => {
  await rm(join(site.root, 'images'), { recursive: true })
  assert.deepEqual(await siteArchives(site), [])
  const named = { ...site, hosts: [{ name: 'h', isRepository: true }] as unknown as typeof site.hosts, variable: () => 'elsewhere' }
  await assert.rejects(siteArchives(named), /elsewhere \(variable hive_image_dir\) does not exist/)
})

test('what is no archive, and one name in two archives, is refused', async () => {
  await put('broken.tar', 'nothing like it, but long enough to be read as a header'.repeat(20))
  await assert.rejects(siteArchives(site), /broken\.tar/)
  await put('broken.tar', await saved('debian:12'))
  await put('debian_12.rootfs.tar', 'x')
  await assert.rejects(siteArchives(site), /both hold debian:12/)
})
