/** An archive of DRBD's packages for Debian, with real packages, fetched over loopback. Nothing of it is installed. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { choosePackages, fetchPackages, type PackageFile, parseArchiveSource } from '../../agent/adapters/drbd/package-archive.ts'
import { writable } from '../../agent/adapters/gate.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from './harness/tools.ts'

const kernel = '6.1.0-28-amd64'
const contents: Readonly<Record<string, readonly string[]>> = {
  [`drbd-module-${kernel}`]: [`lib/modules/${kernel}/updates/drbd/drbd.ko`, `lib/modules/${kernel}/updates/drbd/drbd_transport_tcp.ko`],
  'drbd-module-6.1.0-9-amd64': ['lib/modules/6.1.0-9-amd64/updates/drbd/drbd.ko'],
  'drbd-dkms': ['usr/src/drbd-9.3.4-1/dkms.conf', 'usr/src/drbd-9.3.4-1/a file of it'],
  'drbd-utils': ['usr/sbin/drbdadm'],
}

suite('an archive of .deb files', () => {
  const work = mkdtempSync(join(tmpdir(), 'hive-drbd-archive-'))
  const archive = join(work, 'drbd-9.3.4.tar.gz')
  let address = ''
  const server = createServer((request, response) => {
    if (request.url === '/drbd-9.3.4.tar.gz') response.end(readFileSync(archive))
    else response.writeHead(404).end()
  })

  before(async () => {
    for (const [name, files] of Object.entries(contents)) {
      const folder = join(work, name)
      mkdirSync(join(folder, 'DEBIAN'), { recursive: true })
      const control = `Package: ${name}\nVersion: 1:9.3.4-1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: empty\n`
      writeFileSync(join(folder, 'DEBIAN/control'), control)
      for (const file of files) {
        mkdirSync(join(folder, file, '..'), { recursive: true })
        writeFileSync(join(folder, file), '')
      }
      mkdirSync(join(work, 'debs/drbd'), { recursive: true })
      await run(['dpkg-deb', '--build', '--root-owner-group', folder, join(work, 'debs/drbd')])
    }
    writeFileSync(join(work, 'debs/drbd/README'), 'not a package\n')
    await run(['tar', '-czf', archive, '-C', join(work, 'debs'), 'drbd'])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  after(() => {
    server.close()
    rmSync(work, { recursive: true, force: true })
  })

  const fetch = (url: string): Promise<readonly PackageFile[]> => {
    const folder = mkdtempSync(join(work, 'fetched-'))
    return writable(() => fetchPackages(parseArchiveSource(url), 'apt', folder, { signal: AbortSignal.timeout(60_000), onLine: () => undefined }))
  }
  const sum = (): string => createHash('sha256').update(readFileSync(archive)).digest('hex')

  test('is fetched, and its packages are known by what is in them', async () => {
    const packages = await fetch(`${address}/drbd-9.3.4.tar.gz#sha256=${sum()}`)
    const found = packages.map(({ name, version, kernels, sources, tools }) => ({ name, version, kernels, sources, tools }))
    assert.deepEqual(
      found.sort((a, b) => a.name.localeCompare(b.name)),
      [
        { name: 'drbd-dkms', version: '9.3.4-1', kernels: [], sources: true, tools: false },
        { name: 'drbd-module-6.1.0-28-amd64', version: '9.3.4-1', kernels: [kernel], sources: false, tools: false },
        { name: 'drbd-module-6.1.0-9-amd64', version: '9.3.4-1', kernels: ['6.1.0-9-amd64'], sources: false, tools: false },
        { name: 'drbd-utils', version: '9.3.4-1', kernels: [], sources: false, tools: true },
      ],
    )
    const names = (release: string): readonly string[] =>
      choosePackages(packages, release, true)
        .map(({ name }) => name)
        .sort()
    assert.deepEqual(names(kernel), [`drbd-module-${kernel}`, 'drbd-utils'])
    assert.deepEqual(names('6.12.0-1-amd64'), ['drbd-dkms', 'drbd-utils'])
  })

  test('is as good from a file of the host', async () => {
    assert.equal((await fetch(`file://${archive}`)).length, 4)
  })

  const refused = async (attempt: Promise<unknown>, code: string, message: RegExp): Promise<void> => {
    await assert.rejects(attempt, (thrown) => thrown instanceof HiveError && thrown.code === code && message.test(`${thrown.message} ${thrown.log.join(' ')}`))
  }

  test('with another checksum is not opened', () => refused(fetch(`${address}/drbd-9.3.4.tar.gz#sha256=${'0'.repeat(64)}`), 'blocked', /has the SHA-256/))
  test('that is not there is told', () => refused(fetch(`${address}/nothing.tar.gz#sha256=${'0'.repeat(64)}`), 'command-failed', /404/))
})
