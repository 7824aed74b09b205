import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imagesNamed, lostImages } from '../../../coordinator/images/lost-images.ts'

const hosts = [
  { host: 'hive0', images: [{ tags: ['reg:5000/image_web:1', 'reg:5000/image_app:1'], digests: ['reg:5000/image_web@sha256:aa'] }] },
  {
    host: 'hive1',
    images: [
      { tags: ['reg:5000/image_web:1'], digests: [] },
      { tags: ['reg:5000/image_app:1'], digests: [] },
      { tags: ['busybox:1'], digests: [] },
    ],
  },
]
const wanted = (path: string, tag: string, ...names: readonly string[]) => ({
  repository: `reg:5000/${path}`,
  tag,
  names: names.length > 0 ? names : [`reg:5000/${path}:${tag}`],
})

test('what is missing and can be had is shared out among those who have it', () => {
  const lost = lostImages(
    [wanted('image_web', '1'), wanted('image_app', '1'), wanted('image_none', '1'), wanted('image_there', '1')],
    new Map([['image_there:1', 'sha256:bb']]),
    hosts,
  )
  assert.deepEqual(
    lost.map(({ host, source, digest }) => [host, source, digest]),
    [
      ['hive0', 'reg:5000/image_web:1', 'sha256:aa'],
      ['hive1', 'reg:5000/image_app:1', ''],
    ],
  )
})

test('another name may be what the image is had by', () => {
  const [lost] = lostImages([wanted('image_web', 'content', 'reg:5000/image_web@sha256:aa')], new Map(), hosts)
  assert.deepEqual([lost?.host, lost?.source, lost?.tag], ['hive0', 'reg:5000/image_web@sha256:aa', 'content'])
})

test('all that hosts have under names of the registry', () => {
  assert.deepEqual(
    imagesNamed('reg:5000', hosts).map(({ repository, tag }) => `${repository} ${tag}`),
    ['reg:5000/image_app 1', 'reg:5000/image_web 1'],
  )
})
