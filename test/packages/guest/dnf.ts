/**
 * In a root with dnf: repositories as an EL host has them, with signed packages that are empty, and the agent's own steps that
 * set up package sources and packages. Writes what it saw as JSON; the test judges it.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { ensureFiles } from '../../../agent/steps/ensure-files.ts'
import { ensurePackages } from '../../../agent/steps/ensure-packages.ts'
import type { CheckOutcome, Executor, StepContext } from '../../../agent/steps/executor.ts'
import { packages } from '../../../coordinator/phases/setup-hosts/base-system.ts'
import { packageSources } from '../../../coordinator/phases/setup-hosts/package-sources.ts'
import { HiveError } from '../../../proto/errors.ts'
import { hostFixture, siteFixture } from '../../unit/phases/site-fixture.ts'

const sh = (...argv: readonly [string, ...string[]]): string => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

interface Package {
  readonly name: string
  readonly version?: string
  /** Further lines of its description: Provides, Requires, Recommends. */
  readonly tags?: readonly string[]
}

const named = (...names: readonly string[]): readonly Package[] => names.map((name) => ({ name }))

const release: Package = { name: 'el-release', version: '9', tags: ['Provides: system-release', 'Provides: system-release(releasever) = 9'] }
const curl: Package = { name: 'curl-minimal', tags: ['Provides: curl'] }
const distribution: readonly Package[] = [
  release,
  curl,
  { name: 'iptables-nft', tags: ['Provides: iptables'] },
  ...named('ansible-core', 'ca-certificates', 'chrony', 'container-selinux', 'hostname', 'lvm2', 'python3', 'python3-libselinux', 'rsyslog', 'sudo', 'tzdata'),
  ...named('python3-dnf-plugin-versionlock', 'telnet'),
]
const docker: readonly Package[] = [
  { name: 'containerd.io', tags: ['Requires: container-selinux'] },
  { name: 'docker-ce', tags: ['Requires: containerd.io', 'Requires: docker-ce-cli', 'Requires: iptables', 'Recommends: docker-buildx-plugin'] },
  ...named('docker-ce-cli', 'docker-buildx-plugin'),
]
const epel: readonly Package[] = [{ name: 'ansible', tags: ['Requires: ansible-core'] }]

const rpms = '/root/rpmbuild/RPMS/noarch'

function build({ name, version = '1.0', tags = [] }: Package): string {
  const spec = `/tmp/${name}.spec`
  const lines = [
    `Name: ${name}`,
    `Version: ${version}`,
    'Release: 1',
    'Summary: empty',
    'License: none',
    'BuildArch: noarch',
    ...tags,
    '%description',
    '%files',
  ]
  writeFileSync(spec, `${lines.join('\n')}\n`)
  sh('rpmbuild', '-bb', '--quiet', spec)
  const file = join(rpms, `${name}-${version}-1.noarch.rpm`)
  sh('rpmsign', '--addsign', '--define', '_gpg_name hive', '--define', '__gpg /usr/bin/gpg', file)
  return file
}

/** `key`: where the repository has the public key of its packages. */
function repository(folder: string, key: string, content: readonly Package[]): void {
  mkdirSync(folder, { recursive: true })
  for (const one of content) cpSync(build(one), join(folder, `${one.name}-${one.version ?? '1.0'}.rpm`))
  sh('createrepo_c', '--quiet', folder)
  writeFileSync(key, sh('gpg', '--armor', '--export', 'hive'))
}

const context: StepContext = {
  signal: AbortSignal.timeout(240_000),
  hostName: 'here',
  log: () => undefined,
  progress: () => undefined,
  blobPath: () => Promise.reject(new Error('there are no blobs')),
}

const check = <S>(executor: Executor<S>, spec: S): Promise<CheckOutcome> => readOnly(() => executor.check(spec, context))
const apply = <S>(executor: Executor<S>, spec: S): Promise<void> => writable(() => executor.apply(spec, context))

const installed = (): readonly string[] => sh('rpm', '-qa', '--qf', '%{NAME}\n').trim().split('\n').sort()

/** What the guest saw. Lists of packages are of names, sorted. */
export interface Seen {
  readonly sourcesBefore: CheckOutcome
  readonly sourcesAfter: CheckOutcome
  readonly before: CheckOutcome
  readonly after: CheckOutcome
  readonly all: readonly string[]
  readonly unknownBefore: CheckOutcome
  readonly refused: { readonly code: string; readonly message: string } | undefined
  readonly heldBefore: CheckOutcome
  readonly heldAfter: CheckOutcome
  readonly changed: readonly string[]
  /** NAME VERSION, after an upgrade. */
  readonly versions: readonly string[]
  readonly stillHeld: CheckOutcome
}

async function main(): Promise<Seen> {
  sh('gpg', '--batch', '--quiet', '--passphrase', '', '--quick-gen-key', 'hive', 'rsa2048', 'sign', 'never')
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
  const refused = await apply(ensurePackages, unknown).then(
    () => undefined,
    (thrown: unknown) => (thrown instanceof HiveError ? { code: thrown.code, message: thrown.message } : { code: 'other', message: String(thrown) }),
  )

  const held = { apt: [], dnf: ['telnet', 'docker-ce'], absent: ['hostname'], hold: ['docker-ce'] }
  const heldBefore = await check(ensurePackages, held)
  await apply(ensurePackages, held)
  const heldAfter = await check(ensurePackages, held)
  const changed = installed()
  // A newer docker-ce comes, which who updates the host does not get.
  cpSync(build({ ...docker[1], name: 'docker-ce', version: '2.0' }), '/srv/docker/9/x86_64/stable/docker-ce-2.0.rpm')
  cpSync(build({ name: 'docker-ce-cli', version: '2.0' }), '/srv/docker/9/x86_64/stable/docker-ce-cli-2.0.rpm')
  sh('createrepo_c', '--quiet', '/srv/docker/9/x86_64/stable')
  sh('dnf', '-y', '--refresh', 'upgrade')
  const versions = sh('rpm', '-q', '--qf', '%{NAME} %{VERSION}\n', 'docker-ce', 'docker-ce-cli').trim().split('\n')
  const stillHeld = await check(ensurePackages, held)

  return { sourcesBefore, sourcesAfter, before, after, all, unknownBefore, refused, heldBefore, heldAfter, changed, versions, stillHeld }
}

process.stdout.write(JSON.stringify(await main()))
