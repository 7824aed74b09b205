import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isZero } from '../../../agent/adapters/disk-content.ts'
import { isHalfMade, makeCommand, mountPointOf, parseGeometry, parseSuperblock } from '../../../agent/adapters/file-system.ts'
import { parseMountinfo } from '../../../agent/adapters/mounts.ts'
import { HiveError } from '../../../proto/errors.ts'

const head = (name: string): Buffer => readFileSync(new URL(`../../fixtures/file-systems/${name}.bin`, import.meta.url))

test('superblocks tell type and size', () => {
  assert.deepEqual(parseSuperblock(head('xfs-320MiB')), { type: 'xfs', sizeBytes: 320n * 2n ** 20n })
  assert.deepEqual(parseSuperblock(head('ext4-64MiB')), { type: 'ext4', sizeBytes: 64n * 2n ** 20n })
})

// As xfsprogs 6.1 and e2fsprogs 1.47 print it.
const geometry = `meta-data=/dev/loop2             isize=512    agcount=4, agsize=20480 blks
         =                       reflink=1    bigtime=1 inobtcount=1 nrext64=0
data     =                       bsize=4096   blocks=81920, imaxpct=25
         =                       sunit=0      swidth=0 blks
log      =internal log           bsize=4096   blocks=16384, version=2
`
const superblock = `Filesystem features:      has_journal ext_attr 64bit metadata_csum
Block count:              65536
Reserved block count:     3276
Block size:               1024
Blocks per group:         8192
`

test('the kernel tells the size of what it has mounted', () => {
  assert.equal(parseGeometry(geometry), 320n * 2n ** 20n)
  assert.equal(parseGeometry(superblock), 64n * 2n ** 20n)
  assert.throws(() => parseGeometry('xfs_growfs: /m is not a mounted XFS filesystem\n'), HiveError)
})

test('zeros, a short read and an xfs whose making was cut off are no file system', () => {
  assert.equal(parseSuperblock(Buffer.alloc(4096)), undefined)
  assert.equal(parseSuperblock(head('xfs-320MiB').subarray(0, 512)), undefined)
  const cut = Buffer.from(head('xfs-320MiB'))
  cut[126] = 1
  assert.deepEqual([parseSuperblock(cut), isHalfMade(cut), isHalfMade(head('xfs-320MiB'))], [undefined, true, false])
})

test('nothing is forced or discarded where a file system is made for the first time', () => {
  assert.deepEqual(makeCommand('xfs', '/dev/drbd7', false), ['mkfs.xfs', '-q', '-K', '/dev/drbd7'])
  assert.deepEqual(makeCommand('ext4', '/dev/drbd7', false), ['mkfs.ext4', '-q', '-E', 'nodiscard', '/dev/drbd7'])
  assert.throws(() => makeCommand('btrfs', '/dev/drbd7', false), HiveError)
})

test('a mount counts where it is of the whole file system and for writing', () => {
  const line = (root: string, point: string, options: string): string => `36 35 147:7 ${root} ${point} ${options} shared:1 - xfs /dev/drbd7 rw\n`
  assert.equal(mountPointOf('/dev/drbd7', parseMountinfo(line('/sub', '/a', 'rw') + line('/', '/ro', 'ro') + line('/', '/var/lib/x', 'rw'))), '/var/lib/x')
  assert.equal(mountPointOf('/dev/drbd70', parseMountinfo(line('/', '/a', 'rw'))), undefined)
})

test('zero is zero to the last byte', () => {
  const bytes = Buffer.alloc(8192)
  assert.ok(isZero(bytes))
  bytes[8191] = 1
  assert.ok(!isZero(bytes))
})
