/**
 * In a root with dnf: repositories as an EL host has them, with signed packages that are empty, and the agent's own steps that
 * set up package sources and packages. Writes what it saw as JSON; the test judges it.
 */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EnsureUpdated } from '#gen/hive/v1/steps_host.ts'
import { ensureFiles } from '../../../agent/steps/ensure-files.ts'
import { ensurePackages } from '../../../agent/steps/ensure-packages.ts'
import { ensureUpdated } from '../../../agent/steps/ensure-updated.ts'
import type { CheckOutcome } from '../../../agent/steps/executor.ts'
import { packages } from '../../../coordinator/phases/setup-hosts/base-system.ts'
import { packageSources } from '../../../coordinator/phases/setup-hosts/package-sources.ts'
import { hostFixture, siteFixture } from '../../unit/phases/site-fixture.ts'
import { apply, build, check, installed, makeKey, named, type Package, type Refusal, refusalOf, repository, rpms, sh } from './rpm-packages.ts'

const release: Package = { name: 'el-release', version: '9', tags: ['Provides: system-release', 'Provides: system-release(releasever) = 9'] }
const curl: Package = { name: 'curl-minimal', tags: ['Provides: curl'] }
const distribution: readonly Package[] = [
  release,
  curl,
  { name: 'iptables-nft', tags: ['Provides: iptables'] },
  ...named(
    'ansible-core',
    'ca-certificates',
    'chrony',
    'container-selinux',
    'hostname',
    'lvm2',
    'python3',
    'python3-libselinux',
    'rsyslog',
    'rsyslog-relp',
    'sudo',
    'tzdata',
  ),
  ...named('python3-dnf-plugin-versionlock', 'telnet'),
]
const docker: readonly Package[] = [
  { name: 'containerd.io', tags: ['Requires: container-selinux'] },
  { name: 'docker-ce', tags: ['Requires: containerd.io', 'Requires: docker-ce-cli', 'Requires: iptables', 'Recommends: docker-buildx-plugin'] },
  ...named('docker-ce-cli', 'docker-buildx-plugin'),
]
const epel: readonly Package[] = [{ name: 'ansible', tags: ['Requires: ansible-core'] }]

/** What the guest saw. Lists of packages are of names, sorted. */
export interface Seen {
  readonly sourcesBefore: CheckOutcome
  readonly sourcesAfter: CheckOutcome
  readonly before: CheckOutcome
  readonly after: CheckOutcome
  readonly all: readonly string[]
  readonly unknownBefore: CheckOutcome
  readonly refused: Refusal | undefined
  readonly heldBefore: CheckOutcome
  readonly heldAfter: CheckOutcome
  readonly changed: readonly string[]
  /** NAME VERSION, after an upgrade. */
  readonly versions: readonly string[]
  readonly stillHeld: CheckOutcome
  readonly updates: Readonly<Record<'pendingBefore' | 'listsBefore' | 'listsAfter' | 'pending' | 'pendingAfter', CheckOutcome>>
}

async function main(): Promise<Seen> {
  makeKey()
  repository('/srv/base', '/srv/base.key', distribution)
  repository('/srv/docker/9/x86_64/stable', '/srv/docker/gpg', docker)
  repository('/srv/epel/9/Everything/x86_64', '/srv/epel/RPM-GPG-KEY-EPEL-9', epel)
  writeFileSync('/etc/yum.repos.d/base.repo', '[base]\nname=base\nbaseurl=file:///srv/base\ngpgcheck=1\ngpgkey=file:///srv/base.key\n')
  for (const one of [release, curl]) sh('rpm', '-i', '--nosignature', join(rpms, `${one.name}-${one.version ?? '1.0'}-1.noarch.rpm`))

  const host = hostFixture(0, 2, { dockerSourceUrl: 'file:///srv/docker', epelSourceUrl: 'file:///srv/epel' })
  const sources = packageSources(host).spec?.kind
  const wanted = packages(siteFixture({ hosts: [host, hostFixture(1, 2)] }), host).spec?.kind
  if (sources?.$case !== 'ensureFiles' || wanted?.$case !== 'ensurePackages') throw new Error('these are other steps')

  const sourcesBefore = await check(ensureFiles, sources.value)
  await apply(ensureFiles, sources.value)
  const sourcesAfter = await check(ensureFiles, sources.value)

  const before = await check(ensurePackages, wanted.value)
  await apply(ensurePackages, wanted.value)
  const after = await check(ensurePackages, wanted.value)
  const all = installed()

  const unknown = { apt: [], dnf: ['sudo', 'no-such-package'], absent: [], hold: [] }
  const unknownBefore = await check(ensurePackages, unknown)
  const refused = await refusalOf(apply(ensurePackages, unknown))

  const held = { apt: [], dnf: ['telnet', 'docker-ce'], absent: ['hostname'], hold: ['docker-ce'] }
  const heldBefore = await check(ensurePackages, held)
  await apply(ensurePackages, held)
  const heldAfter = await check(ensurePackages, held)
  const changed = installed()
  // A newer docker-ce comes, which who updates the host does not get.
  cpSync(build({ ...docker[1], name: 'docker-ce', version: '2.0' }), '/srv/docker/9/x86_64/stable/docker-ce-2.0.rpm')
  cpSync(build({ name: 'docker-ce-cli', version: '2.0' }), '/srv/docker/9/x86_64/stable/docker-ce-cli-2.0.rpm')
  sh('createrepo_c', '--quiet', '/srv/docker/9/x86_64/stable')
  const pendingBefore = await check(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: false }))
  const listsBefore = await check(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: true }))
  await apply(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: true }))
  const listsAfter = await check(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: true }))
  const pending = await check(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: false }))
  await apply(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: false }))
  const pendingAfter = await check(ensureUpdated, EnsureUpdated.fromPartial({ listsOnly: false }))
  const updates = { pendingBefore, listsBefore, listsAfter, pending, pendingAfter }
  const versions = sh('rpm', '-q', '--qf', '%{NAME} %{VERSION}\n', 'docker-ce', 'docker-ce-cli').trim().split('\n')
  const stillHeld = await check(ensurePackages, held)

  return { sourcesBefore, sourcesAfter, before, after, all, unknownBefore, refused, heldBefore, heldAfter, changed, versions, stillHeld, updates }
}

process.stdout.write(JSON.stringify(await main()))
