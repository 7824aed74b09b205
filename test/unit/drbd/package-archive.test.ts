import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { candidateOf, newestModule } from '../../../agent/adapters/drbd/install-module.ts'
import { choosePackages, describePackage, packageMembers, parseArchiveSource, versionInName } from '../../../agent/adapters/drbd/package-archive.ts'
import { HiveError } from '../../../proto/errors.ts'

const sum = 'AB'.repeat(32)
const refusal = (code: string, message: RegExp) => (thrown: unknown) => thrown instanceof HiveError && thrown.code === code && message.test(thrown.message)

suite('the address of an archive', () => {
  test('is https, a file of the host, or has a checksum', () => {
    assert.deepEqual(parseArchiveSource('https://example.com/drbd.tar.gz'), { url: 'https://example.com/drbd.tar.gz', sha256: '' })
    assert.deepEqual(parseArchiveSource(`http://example.com/drbd.tar.gz#sha256=${sum}`), { url: 'http://example.com/drbd.tar.gz', sha256: sum.toLowerCase() })
    assert.equal(parseArchiveSource('file:///srv/drbd.tar').url, 'file:///srv/drbd.tar')
  })
  for (const wrong of ['http://example.com/drbd.tar.gz', 'ftp://example.com/a', 'drbd.tar.gz', 'https://example.com/a#sha256=12', 'file://host/a', ''])
    test(`is not "${wrong}"`, () => assert.throws(() => parseArchiveSource(wrong), refusal('invalid-input', /hive_drbd_download_url/)))

  test('tells the version by its name', () => {
    assert.equal(versionInName('https://example.com/x/drbd-9.3.2-v9.34.0-5.14.0-503.14.1.el9_5.x86_64.tar.gz'), '9.3.2')
    assert.equal(versionInName(`https://example.com/drbd_9.3.4.tar#sha256=${sum}`), '9.3.4')
    assert.equal(versionInName('https://example.com/drbd-9.3.2/latest.tar.gz'), '')
    assert.equal(versionInName(''), '')
  })
})

suite('the members of an archive', () => {
  const listing =
    'drbd/\ndrbd/a-1.el9.x86_64.rpm\ndrbd/a-1.el9.src.rpm\ndrbd/a-debuginfo-1.el9.x86_64.rpm\ndrbd/a_1_amd64.deb\ndrbd/a-dbgsym_1_amd64.deb\nREADME\n'
  test('are the packages for the host, without those for developers', () => {
    assert.deepEqual(packageMembers(listing, 'dnf'), ['drbd/a-1.el9.x86_64.rpm'])
    assert.deepEqual(packageMembers(listing, 'apt'), ['drbd/a_1_amd64.deb'])
  })
  test('have to be some', () => assert.throws(() => packageMembers('README\n', 'dnf'), refusal('blocked', /no \.rpm file/)))
  for (const name of ['../a.rpm', '/etc/a.rpm', 'a/../../b.rpm', '-x.rpm'])
    test(`are not ${name}`, () => assert.throws(() => packageMembers(`good.rpm\n${name}\n`, 'dnf'), refusal('blocked', /has a file/)))
})

suite('the packages that are installed', () => {
  const running = '5.14.0-503.14.1.el9_5.x86_64'
  const [other, old] = ['5.14.0-570.12.1.el9_6.x86_64', '5.14.0-70.13.1.el9_0.x86_64']
  const forKernel = (kernel: string, version = '9.3.3', name = 'drbd-km') =>
    describePackage(`/x/${name}.rpm`, name, version, [`/lib/modules/${kernel}/extra/drbd/drbd.ko.xz`])
  const tools = describePackage('/x/utils.rpm', 'drbd-utils', '9.34.0', ['/usr/sbin/drbdadm', '/usr/sbin/drbdsetup'])
  const names = (chosen: readonly { readonly name: string; readonly kernels: readonly string[] }[]): readonly string[] =>
    chosen.map(({ name, kernels }) => [name, ...kernels].join(' '))

  test('are known by their files', () => {
    assert.deepEqual(
      describePackage('f', 'n', '1', ['./lib/modules/6.1.0-28-amd64/updates/drbd.ko', './usr/lib/modules/6.1.0-28-amd64/updates/drbd_transport_tcp.ko'])
        .kernels,
      ['6.1.0-28-amd64'],
    )
    assert.equal(describePackage('f', 'drbd-dkms', '9.3.3-1', ['./usr/src/drbd-9.3.3-1/dkms.conf']).sources, true)
    assert.equal(tools.tools, true)
    assert.deepEqual([tools.kernels, tools.sources], [[], false])
  })

  test('are the module of the host’s kernel and the tools', () => {
    assert.deepEqual(names(choosePackages([tools, forKernel(running), forKernel(other)], running, false)), ['drbd-utils', `drbd-km ${running}`])
  })

  test('are a kmod package where none is for exactly this kernel', () => {
    assert.deepEqual(names(choosePackages([forKernel(old, '9.3.3', 'kmod-drbd9x')], running, true)), [`kmod-drbd9x ${old}`])
  })

  const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['a module of another kernel', () => choosePackages([tools, forKernel(other)], running, true), /for kernel 5\.14\.0-570.*this host has 5\.14\.0-503/],
    ['tools alone', () => choosePackages([tools], running, true), /none of its packages has the module/],
    ['a module alone on a host without tools', () => choosePackages([forKernel(running)], running, false), /no drbd-utils/],
    ['a module below the floor', () => choosePackages([tools, forKernel(running, '9.3.2')], running, true), /DRBD 9\.3\.2 is too old/],
  ]
  for (const [what, choose, message] of refused) test(`are not ${what}`, () => assert.throws(choose, refusal('blocked', message)))
})

test('of what dnf finds the newest module is taken, with its tools', () => {
  assert.deepEqual(newestModule('\nkmod-drbd90 9.1.23\nkmod-drbd9x 9.3.3\n\nother 10\n'), { module: 'kmod-drbd9x', tools: 'drbd9x-utils', version: '9.3.3' })
  assert.deepEqual(newestModule('kmod-drbd90 9.1.23'), { module: 'kmod-drbd90', tools: 'drbd90-utils', version: '9.1.23' })
  assert.equal(newestModule(''), undefined)
})

test("apt's candidate", () => {
  const policy = (version: string): string => `drbd-dkms:\n  Installed: (none)\n  Candidate: ${version}\n  Version table:\n`
  assert.equal(candidateOf(policy('9.3.3-1ppa1~bookworm1')), '9.3.3-1ppa1~bookworm1')
  assert.equal(candidateOf(policy('1:9.3.3-1')), '9.3.3-1')
  assert.equal(candidateOf(policy('(none)')), '')
  // apt-cache prints nothing for a name that no list has.
  assert.equal(candidateOf(''), '')
})
