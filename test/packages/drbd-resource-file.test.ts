/** Resource files, read by the drbdadm of Debian's drbd-utils. Without a module: it prints what it would tell the kernel. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type ResourceFileSpec, renderResource } from '../../agent/adapters/drbd/resource-file.ts'
import { globalCommonConf } from '../../coordinator/phases/setup-hosts/mirroring.ts'
import { run } from '../../coordinator/providers/command.ts'
import { node, resourceFileSpec } from '../support/resource-file-spec.ts'
import { unpackedPackages } from '../support/unpacked-packages.ts'

let sbin: string
const folder = mkdtempSync(join(tmpdir(), 'hive-drbd-'))

before(async () => {
  const root = await unpackedPackages(
    { name: 'drbd-utils', packages: ['drbd-utils'], useless: ['usr/share/doc', 'usr/share/man'] },
    AbortSignal.timeout(600_000),
  )
  sbin = join(root, 'sbin')
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** What drbdadm would run on this host, a command a line, without the folder of the programs. */
async function commands(texts: readonly string[], host: string, command: string, resource = 'all'): Promise<readonly string[]> {
  const file = join(folder, 'drbd.conf')
  writeFileSync(file, `${globalCommonConf}${texts.join('')}`)
  const { stdout } = await run([join(sbin, 'drbdadm'), '-c', file, '-d', command, resource], {
    env: { DRBD_DRIVER_VERSION_OVERRIDE: '9.2.9', __DRBD_NODE__: host },
  })
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replaceAll(`${sbin}/`, ''))
}

const spec = (changes: Partial<ResourceFileSpec>): ResourceFileSpec => resourceFileSpec({ name: 'data', ...changes })

describe('drbdadm', () => {
  test('brings a volume up with one connection to each other host, and none with a bitmap for one without a disk', async () => {
    const up = await commands([renderResource(spec({}))], 's-hive0.pdns', 'up')
    assert.deepEqual(
      up.map((line) => line.split(' ').slice(0, 4).join(' ')),
      [
        'drbdsetup new-resource data 0',
        'drbdsetup new-minor data 1',
        'drbdsetup new-peer data 1',
        'drbdsetup new-peer data 2',
        'drbdsetup new-path data 1',
        'drbdsetup new-path data 2',
        'drbdsetup peer-device-options data 1',
        'drbdsetup peer-device-options data 2',
        'drbdmeta 1 v09 /dev/drbdvg/data',
        'drbdsetup attach 1 /dev/drbdvg/data',
        'drbdsetup connect data 1',
        'drbdsetup connect data 2',
      ],
    )
    assert.match(up[0] ?? '', / --quorum=majority --on-no-quorum=io-error --on-no-data-accessible=io-error /)
    for (const line of up.slice(2, 4)) assert.match(line, / --shared-secret=(aB3){21} --cram-hmac-alg=sha256 --protocol=C$/)
    assert.ok(up.includes('drbdsetup new-path data 2 ipv4:10.0.0.10:7001 ipv4:10.0.0.12:7001'))
    assert.doesNotMatch(up[6] ?? '', /bitmap/)
    assert.match(up[7] ?? '', / --bitmap=no$/)
  })

  test('attaches nothing on a host without a disk', async () => {
    const up = await commands([renderResource(spec({}))], 's-hive2.pdns', 'up')
    assert.deepEqual(
      up.filter((line) => /attach|drbdmeta/.test(line)),
      [],
    )
    assert.deepEqual(await commands([renderResource(spec({}))], 's-hive2', 'sh-dev'), ['/dev/drbd1'])
  })

  test('writes metadata on the logical volume, with as much room as it is told', async () => {
    assert.deepEqual(await commands([renderResource(spec({}))], 's-hive0.pdns', 'create-md'), ['drbdmeta 1 v09 /dev/drbdvg/data internal create-md 1'])
  })

  test('takes every file: 1 to 8 hosts, any of them without a disk, several resources, names of digits and dashes', async () => {
    const names = fc.constantFrom('a', '1', '0-9', 'pdnsdb_data', 'up', 'all-1', 'x.y', 'resource', 'disk', 'on', 'a+b')
    const made = fc.record({
      names: fc.uniqueArray(names, { minLength: 1, maxLength: 3 }),
      hosts: fc.integer({ min: 1, max: 8 }),
      firstId: fc.integer({ min: 0, max: 24 }),
      diskless: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      thinPool: fc.constantFrom('', 'drbdpool'),
      sharedSecret: fc.stringMatching(/^[A-Za-z0-9_-]{1,63}$/),
    })
    await fc.assert(
      fc.asyncProperty(made, async ({ names: all, hosts, firstId, diskless, thinPool, sharedSecret }) => {
        // The last one always has a disk.
        const nodes = Array.from({ length: hosts }, (_, index) => node(firstId + index, index < hosts - 1 && diskless[index] === true))
        const texts = all.map((name, index) => renderResource(spec({ name, minor: index + 1, port: 7001 + index, thinPool, sharedSecret, nodes })))
        for (const name of all) {
          const adjusted = await commands(texts, nodes[0]?.name ?? '', 'adjust', name)
          assert.equal(adjusted.filter((line) => line.startsWith('drbdsetup connect ')).length, hosts - 1)
          assert.equal(adjusted.filter((line) => line.startsWith('drbdsetup attach ')).length, nodes[0]?.diskless === true ? 0 : 1)
        }
      }),
      { numRuns: 40 },
    )
  })
})
