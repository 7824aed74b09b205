import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { compareReleases, isKernel, nextKernelOf, parseModinfo } from '../../../agent/adapters/kernel-modules.ts'

const recorded = new URL('../../fixtures/drbd9/01-unconfigured-module-loaded/s-hive0/modinfo-drbd.txt', import.meta.url)

test('a module as modinfo tells it: recorded, and one that is signed', () => {
  assert.deepEqual(parseModinfo(readFileSync(recorded, 'utf8')), {
    path: '/lib/modules/6.12.95+deb12-cloud-amd64/updates/drbd.ko',
    version: '9.3.3',
    signer: '',
  })
  // The fields that a module of ELRepo's ends with, as its tracker has them.
  const signed = `filename:       /lib/modules/5.14.0-503.11.1.el9_5.x86_64/weak-updates/drbd9x/drbd.ko
version:        9.3.3
rhelversion:    9.5
depends:        libcrc32c
vermagic:       5.14.0-503.11.1.el9_5.x86_64 SMP preempt mod_unload modversions
sig_id:         PKCS#7
signer:         ELRepo.org Secure Boot Key
sig_key:        E9:D4:71:CF:B4:FE:13:6C
sig_hashalgo:   sha256
`
  assert.equal(parseModinfo(signed)?.signer, 'ELRepo.org Secure Boot Key')
  assert.equal(parseModinfo('modinfo: ERROR: Module drbd not found.\n'), undefined)
})

test('releases are in the order in which they appeared', () => {
  const ordered = [
    ['4.18.0-553.8.1.el8_10.x86_64', '4.18.0-553.16.1.el8_10.x86_64', '5.14.0-70.13.1.el9_0.x86_64', '5.14.0-503.11.1.el9_5.x86_64'],
    ['6.1.0-9-amd64', '6.1.0-28-amd64', '6.12.95+deb12-cloud-amd64'],
  ]
  for (const releases of ordered) assert.deepEqual([...releases].reverse().sort(compareReleases), releases)
})

test('the order of releases is one', () => {
  const release = fc.stringMatching(/^[0-9]{1,2}\.[0-9]{1,2}(?:-[a-z0-9]{1,3}){0,2}$/)
  fc.assert(
    fc.property(release, release, release, (one, two, three) => {
      assert.equal(Math.sign(compareReleases(one, two)), -Math.sign(compareReleases(two, one)) || 0)
      if (compareReleases(one, two) <= 0 && compareReleases(two, three) <= 0) assert.ok(compareReleases(one, three) <= 0)
    }),
  )
})

suite('the kernel that boots next', () => {
  const id = '3f1e9b0c6f0a4a1c8a44a0cbb6b6f7c1'
  const [old, recent] = ['5.14.0-503.14.1.el9_5.x86_64', '5.14.0-570.12.1.el9_6.x86_64']
  /** A file of kernel-install's, as systemd's and grub's documents of boot loader entries have it. */
  const entry = (release: string): readonly [string, string] => [
    `${id}-${release}`,
    `title AlmaLinux (${release}) 9.5 (Teal Serval)\nversion ${release}\nlinux /vmlinuz-${release}\ninitrd /initramfs-${release}.img $tuned_initrd\noptions root=/dev/vda4 ro\n`,
  ]
  const rescue: readonly [string, string] = [
    `${id}-0-rescue`,
    `title AlmaLinux (0-rescue-${id}) 9.5 (Teal Serval)\nversion 0-rescue-${id}\nlinux /vmlinuz-0-rescue-${id}\n`,
  ]
  const el = {
    defaults: 'GRUB_TIMEOUT=5\nGRUB_DEFAULT=saved\nGRUB_ENABLE_BLSCFG=true\n',
    entries: new Map([rescue, entry(old), entry(recent)]),
    kernels: [old, recent],
  }
  const saved = (line: string): string => `# GRUB Environment Block\n${line}\nboot_success=0\n${'#'.repeat(20)}`

  test('is the saved entry', () => assert.equal(nextKernelOf({ ...el, environment: saved(`saved_entry=${id}-${old}`) }), old))
  test('is the one for a single boot before that', () =>
    assert.equal(nextKernelOf({ ...el, environment: saved(`saved_entry=${id}-${old}\nnext_entry=${id}-${recent}`) }), recent))
  test('is the newest where none is saved, or the first one by number', () => {
    for (const environment of ['', saved('saved_entry='), saved('saved_entry=0')]) assert.equal(nextKernelOf({ ...el, environment }), recent)
    assert.equal(nextKernelOf({ ...el, environment: saved('saved_entry=1') }), old)
    assert.equal(nextKernelOf({ ...el, environment: saved('saved_entry=1'), defaults: 'GRUB_DEFAULT=0\n' }), recent)
  })
  test('is not known where the entry is gone, or is for rescue', () => {
    for (const name of ['nothing', `${id}-0-rescue`]) assert.equal(nextKernelOf({ ...el, environment: saved(`saved_entry=${name}`) }), undefined)
  })

  const debian = { environment: '', entries: new Map<string, string>(), kernels: ['6.1.0-28-amd64', '6.1.0-9-amd64'] }
  test('is the newest of Debian, unless grub is told otherwise', () => {
    assert.equal(nextKernelOf({ ...debian, defaults: 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n' }), '6.1.0-28-amd64')
    assert.equal(nextKernelOf({ ...debian, defaults: '' }), '6.1.0-28-amd64')
    assert.equal(nextKernelOf({ ...debian, defaults: 'GRUB_DEFAULT="1>2"\n' }), undefined)
    assert.equal(nextKernelOf({ ...debian, defaults: '', kernels: [] }), undefined)
  })
})

test('a kernel that is asked for, by its version or a glob of it', () => {
  const release = '5.14.0-503.14.1.el9_5.x86_64'
  for (const pattern of [release, '5.14.0-503.14.1.el9_5', '5.14.0-503*', '5.14.0-503.14.?.el9_5']) assert.ok(isKernel(pattern, release), pattern)
  for (const pattern of ['5.14.0-503', '5.14.0-503.14.2*', '5x14.0-503.14.1.el9_5', '5.14.0-503.14.1.el9_5.x86'])
    assert.ok(!isKernel(pattern, release), pattern)
})
