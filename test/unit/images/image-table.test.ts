import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageTable, type KnownImage } from '../../../coordinator/images/image-table.ts'

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`
const server = 'reg:5000'
const has = (tags: readonly string[], digests: readonly string[] = []): KnownImage => ({ tags, digests, size: 7n, created: new Date(5000) })

const rows = imageTable({
  server,
  manifests: [
    { repository: 'image_web', digest: digest(1), tags: ['111111111111'], size: 10n, built: new Date(1000), pushed: undefined, children: [] },
    { repository: 'image_web', digest: digest(2), tags: ['222222222222', 'latest'], size: 20n, built: new Date(2000), pushed: undefined, children: [] },
    { repository: 'image_app', digest: digest(3), tags: ['333333333333'], size: 30n, built: undefined, pushed: new Date(3000), children: [digest(4)] },
    { repository: 'image_app', digest: digest(4), tags: [], size: 30n, built: undefined, pushed: new Date(3000), children: [] },
  ],
  hosts: new Map([
    ['hive0', [has([`${server}/image_web:222222222222`]), has(['mariadb:10.4'], [`mariadb@${digest(9)}`])]],
    ['hive1', [has([], [`${server}/image_web@${digest(2)}`]), has([`${server}/image_web:111111111111`])]],
  ]),
  services: [
    { name: 'web', image: `${server}/image_web:222222222222`, previousImage: `${server}/image_web:111111111111` },
    { name: 'pinned', image: `${server}/image_app:333333333333@${digest(3)}`, previousImage: '' },
    { name: 'db', image: 'mariadb:10.4', previousImage: 'mariadb:10.4' },
    { name: 'lost', image: `${server}/image_gone:999999999999`, previousImage: '' },
  ],
})

test('builds by image, the newest first, with who runs and who has them', () => {
  assert.deepEqual(
    rows.map(({ image, tags, services, before, hosts, inRegistry }) => [
      image,
      tags.join(' '),
      services.join(' '),
      before.join(' '),
      hosts.join(' '),
      inRegistry,
    ]),
    [
      ['image_app', '333333333333', 'pinned', '', '', true],
      ['image_web', '222222222222 latest', 'web', '', 'hive0 hive1', true],
      ['image_web', '111111111111', '', 'web', 'hive1', true],
      ['mariadb', '10.4', 'db', '', 'hive0', false],
      ['image_gone', '999999999999', 'lost', '', '', false],
    ],
  )
})

test('an image of another registry is known as hosts know it', () => {
  const [mariadb] = rows.filter(({ image }) => image === 'mariadb')
  assert.equal(mariadb?.digest, digest(9))
  assert.equal(mariadb?.bytes, 7)
})
