/**
 * In a root with dnf: DRBD's packages from a repository like ELRepo's and from an archive like hive-builder's, beside kernels like those of
 * an EL host, all empty. Only grubby is a stand-in: it writes what the real one writes. Writes what it saw as JSON; the test judges it.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { installKernel, installModule } from '../../../agent/adapters/drbd/install-module.ts'
import { writable } from '../../../agent/adapters/gate.ts'
import { hold, missingHolds } from '../../../agent/adapters/kernel-hold.ts'
import { nextKernel } from '../../../agent/adapters/kernel-modules.ts'
import { ensureFiles } from '../../../agent/steps/ensure-files.ts'
import { workOf } from '../../../agent/steps/ensure-packages.ts'
import { drbdPackages } from '../../../coordinator/phases/setup-hosts/drbd-packages.ts'
import { hostFixture } from '../../unit/phases/site-fixture.ts'
import { apply, build, context, installed, makeKey, named, type Package, type Refusal, refusalOf, repository, rpms, sh } from './rpm-packages.ts'

const [old, recent] = ['5.14.0', '5.15.0']
const releaseOf = (version: string): string => `${version}-1.x86_64`
const drbdKo = (version: string): string => `/lib/modules/${releaseOf(version)}/extra/drbd/drbd.ko`
const kernel = (version: string): Package => ({ name: 'kernel', version, files: [`/lib/modules/${releaseOf(version)}/vmlinuz`] })
const elrepoModule = (version: string, kernelVersion: string): Package => ({
  name: 'kmod-drbd9x',
  version,
  tags: [`Requires: kernel >= ${kernelVersion}`],
  files: [drbdKo(kernelVersion)],
})
const release: Package = { name: 'el-release', version: '9', tags: ['Provides: system-release', 'Provides: system-release(releasever) = 9'] }
const base: readonly Package[] = [
  release,
  kernel(old),
  kernel(recent),
  { name: 'kernel-modules-extra', version: old },
  { name: 'kernel-modules-extra', version: recent },
  ...named('curl', 'tar', 'needed-library'),
]
const elrepo = '/srv/elrepo/elrepo/el9/x86_64'

const work = workOf(context)
const install = (url: string, tools = true): Promise<Refusal | undefined> =>
  refusalOf(writable(() => installModule({ url, system: 'dnf', kernel: releaseOf(old), module: true, tools }, work)))

/** NAME VERSION of packages of DRBD and kernels, sorted. */
const versions = (): readonly string[] =>
  sh('rpm', '-qa', '--qf', '%{NAME} %{VERSION}\n')
    .trim()
    .split('\n')
    .filter((line) => /drbd|^kernel/.test(line))
    .sort()

/** A tar archive of unsigned packages; answers its address with its checksum. */
function archive(name: string, content: readonly Package[]): string {
  const folder = `/tmp/${name}`
  mkdirSync(folder)
  for (const one of content) cpSync(build(one, false), `${folder}/${one.name}.rpm`)
  sh('tar', '-cf', `/srv/${name}.tar`, '-C', '/tmp', name)
  const sum = createHash('sha256')
    .update(readFileSync(`/srv/${name}.tar`))
    .digest('hex')
  return `file:///srv/${name}.tar#sha256=${sum}`
}

export interface Seen {
  readonly missing: Refusal | undefined
  readonly tooOld: Refusal | undefined
  readonly afterTooOld: readonly string[]
  readonly newKernelOnly: Refusal | undefined
  readonly afterNewKernelOnly: readonly string[]
  readonly fromElrepo: Refusal | undefined
  readonly afterElrepo: readonly string[]
  readonly dnfConf: string
  readonly stillMissing: readonly string[]
  readonly afterUpgrade: readonly string[]
  readonly wrongSum: Refusal | undefined
  readonly fromArchive: Refusal | undefined
  readonly afterArchive: readonly string[]
  readonly unsignedDependency: Refusal | undefined
  readonly afterUnsigned: readonly string[]
  readonly kernelInstalled: string
  readonly afterKernel: readonly string[]
  readonly boots: string | undefined
}

async function main(): Promise<Seen> {
  makeKey()
  repository('/srv/base', '/srv/base.key', base)
  writeFileSync('/etc/yum.repos.d/base.repo', '[base]\nname=base\nbaseurl=file:///srv/base\ngpgcheck=1\ngpgkey=file:///srv/base.key\n')
  mkdirSync('/etc/dnf', { recursive: true })
  writeFileSync('/etc/dnf/dnf.conf', '[main]\ngpgcheck=1\ninstallonly_limit=3\nbest=True\n')
  for (const name of [`el-release-9`, `kernel-${old}`]) sh('rpm', '-i', '--nosignature', `${rpms}/${name}-1.noarch.rpm`)

  const missing = await install('')
  for (const { spec } of drbdPackages(hostFixture(0, 2, { elrepoSourceUrl: 'file:///srv/elrepo' })))
    if (spec?.kind?.$case === 'ensureFiles') await apply(ensureFiles, spec.kind.value)
  const refresh = (...content: readonly Package[]): void => {
    repository(elrepo, '/srv/elrepo/RPM-GPG-KEY-elrepo.org', content)
    cpSync('/srv/elrepo/RPM-GPG-KEY-elrepo.org', '/srv/elrepo/RPM-GPG-KEY-v2-elrepo.org')
    sh('dnf', '-q', 'clean', 'expire-cache')
  }
  refresh(elrepoModule('9.3.2', old), { name: 'drbd9x-utils', version: '9.34.0' })
  const tooOld = await install('')
  const afterTooOld = versions()

  rmSync(elrepo, { recursive: true })
  refresh(elrepoModule('9.3.4', recent), { name: 'drbd9x-utils', version: '9.34.0' })
  const newKernelOnly = await install('')
  const afterNewKernelOnly = versions()

  refresh(elrepoModule('9.3.3', old))
  const fromElrepo = await install('')
  const afterElrepo = versions()

  await writable(async () => hold('dnf', await missingHolds('dnf', context.signal), work))
  const dnfConf = readFileSync('/etc/dnf/dnf.conf', 'utf8')
  const stillMissing = await missingHolds('dnf', context.signal)
  sh('dnf', '-y', '--refresh', 'upgrade')
  const afterUpgrade = versions()
  // Without it dnf removes nothing that it leaves out.
  sh('dnf', '-y', '--disableexcludes=main', 'remove', 'kmod-drbd9x', 'drbd9x-utils')

  const tools: Package = { name: 'drbd-utils', version: '9.34.0', files: ['/usr/sbin/drbdadm'], tags: ['Requires: needed-library'] }
  const modules = [old, recent].map((version): Package => ({ name: `drbd-km-${version}`, version: '9.3.4', files: [drbdKo(version)] }))
  const good = archive('good', [tools, ...modules])
  const wrongSum = await install(good.replace(/[0-9a-f]{64}$/, '0'.repeat(64)))
  const fromArchive = await install(good)
  const afterArchive = installed().filter((name) => /drbd|needed/.test(name))

  repository('/srv/careless', '/srv/careless.key', named('not-signed'), false)
  writeFileSync('/etc/yum.repos.d/careless.repo', '[careless]\nname=careless\nbaseurl=file:///srv/careless\ngpgcheck=1\ngpgkey=file:///srv/careless.key\n')
  const careless: Package = { name: 'drbd-km-careless', version: '9.3.5', files: [drbdKo(old)], tags: ['Requires: not-signed'] }
  const unsignedDependency = await install(archive('careless', [careless]), false)
  const afterUnsigned = installed().filter((name) => /careless|not-signed/.test(name))

  mkdirSync('/boot/loader/entries', { recursive: true })
  mkdirSync('/boot/grub2', { recursive: true })
  for (const version of [old, recent]) writeFileSync(`/boot/loader/entries/machine-${releaseOf(version)}.conf`, `title EL\nversion ${releaseOf(version)}\n`)
  writeFileSync('/boot/grub2/grubenv', `# GRUB Environment Block\nsaved_entry=machine-${releaseOf(old)}\n`)
  const grubby = '#!/bin/sh\n[ "$1" = --set-default ] || exit 1\necho "$2" | sed s,/boot/vmlinuz-,saved_entry=machine-, > /boot/grub2/grubenv\n'
  writeFileSync('/usr/sbin/grubby', grubby, { mode: 0o755 })
  const kernelInstalled = await writable(() => installKernel(`${recent}-1`, 'dnf', work))

  return {
    ...{
      missing,
      tooOld,
      afterTooOld,
      newKernelOnly,
      afterNewKernelOnly,
      fromElrepo,
      afterElrepo,
      dnfConf,
      stillMissing,
      afterUpgrade,
      wrongSum,
      fromArchive,
      afterArchive,
    },
    ...{ unsignedDependency, afterUnsigned, kernelInstalled, afterKernel: versions(), boots: await nextKernel() },
  }
}

process.stdout.write(JSON.stringify(await main()))
