import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostSettings } from '../../../coordinator/inventory/site.ts'
import { drbdPackages } from '../../../coordinator/phases/setup-hosts/drbd-packages.ts'
import { hostFixture } from './site-fixture.ts'

function stepsOf(settings: Partial<HostSettings>) {
  const steps = drbdPackages(hostFixture(0, 2, settings))
  const repository = steps.flatMap(({ spec }) => (spec?.kind?.$case === 'ensureFiles' ? spec.kind.value.files : [])).find(({ path }) => path.endsWith('.repo'))
  const module = steps.flatMap(({ spec }) => (spec?.kind?.$case === 'ensureDrbdModule' ? [spec.kind.value] : []))[0]
  return { ids: steps.map(({ id }) => id), repository, lines: repository?.content.toString().split('\n') ?? [], module, last: steps.at(-1) }
}

test("DRBD comes from ELRepo, signed, on EL only, after the host's packages", () => {
  const { ids, repository, lines, module, last } = stepsOf({})
  assert.deepEqual(ids, ['setup-hosts/elrepo@p-hive0.pdns', 'setup-hosts/drbd-module@p-hive0.pdns'])
  assert.deepEqual([repository?.path, repository?.system], ['/etc/yum.repos.d/hive-elrepo.repo', 'dnf'])
  for (const line of [
    'baseurl=https://elrepo.org/linux/elrepo/el$releasever/$basearch/',
    'mirrorlist=http://mirrors.elrepo.org/mirrors-elrepo.el$releasever',
    'gpgcheck=1',
    'gpgkey=https://www.elrepo.org/RPM-GPG-KEY-v2-elrepo.org https://www.elrepo.org/RPM-GPG-KEY-elrepo.org',
  ])
    assert.ok(lines.includes(line), line)
  assert.deepEqual(module, { downloadUrl: '', kernelVersion: '' })
  for (const need of ['elrepo', 'packages']) assert.ok(last?.needs.includes(`setup-hosts/${need}@p-hive0.pdns`))
})

test('a mirror of ELRepo stands for all of it', () => {
  const { lines } = stepsOf({ elrepoSourceUrl: 'https://mirror.example/elrepo/' })
  assert.ok(lines.includes('baseurl=https://mirror.example/elrepo/elrepo/el$releasever/$basearch/'))
  assert.ok(lines.includes('gpgkey=https://mirror.example/elrepo/RPM-GPG-KEY-v2-elrepo.org https://mirror.example/elrepo/RPM-GPG-KEY-elrepo.org'))
  assert.ok(!lines.some((line) => line.includes('elrepo.org/mirrors') || line.startsWith('mirrorlist=')))
})

test('an archive that the site names needs no source; the kernel is the one asked for', () => {
  const { ids, module } = stepsOf({ drbdDownloadUrl: 'https://example.com/drbd.tar.gz', kernelVersion: '5.14.0-503.14.1.el9_5' })
  assert.deepEqual(ids, ['setup-hosts/drbd-module@p-hive0.pdns'])
  assert.deepEqual(module, { downloadUrl: 'https://example.com/drbd.tar.gz', kernelVersion: '5.14.0-503.14.1.el9_5' })
})
