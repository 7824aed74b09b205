/**
 * In a root with dnf: kernels and DRBD's module in them brought up to date together, from repositories like those of EL and ELRepo. modinfo, lsmod,
 * drbdadm and grubby are stand-ins that answer from the files that packages brought. Writes what it saw as JSON; the test judges it.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { EnsureUpdated } from '#gen/hive/v1/steps_host.ts'
import { nextKernel } from '../../../agent/adapters/kernel-modules.ts'
import { ensureUpdated } from '../../../agent/steps/ensure-updated.ts'
import type { CheckOutcome } from '../../../agent/steps/executor.ts'
import { apply, build, check, makeKey, named, type Package, type Refusal, refusalOf, repository, rpms, sh } from './rpm-packages.ts'

const running = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
/** Newer than any that a machine runs. */
const releaseOf = (version: string): string => `${version}-1.x86_64`
const entry = (release: string): string => `/boot/loader/entries/machine-${release}.conf`
const drbdKo = (release: string): string => `/lib/modules/${release}/extra/drbd/drbd.ko`
const kernel = (version: string): Package => ({
  name: 'kernel',
  version,
  files: [`/lib/modules/${releaseOf(version)}/vmlinuz`],
  programs: { [entry(releaseOf(version))]: `title EL\nversion ${releaseOf(version)}` },
})
/** Its files say its version. */
const module = (version: string, ...releases: readonly string[]): Package => ({
  name: 'kmod-drbd9x',
  version,
  programs: Object.fromEntries(releases.map((release) => [drbdKo(release), version])),
})
const release: Package = { name: 'el-release', version: '9', tags: ['Provides: system-release', 'Provides: system-release(releasever) = 9'] }

const standIns: Readonly<Record<string, string>> = {
  modinfo: `release=$(cat /proc/sys/kernel/osrelease); [ "$1" != -k ] || release=$2
file=/lib/modules/$release/extra/drbd/drbd.ko
[ -s $file ] || { echo "modinfo: ERROR: Module drbd not found." >&2; exit 1; }
echo "filename:       $file"; echo "version:        $(cat $file)"; echo "signer:         a key"`,
  lsmod: 'echo "Module                  Size  Used by"; echo "drbd                  872448  0"',
  drbdadm: 'echo DRBD_KERNEL_VERSION=9.3.3; echo DRBDADM_VERSION=9.34.0',
  grubby: '[ "$1" = --set-default ] || exit 1\necho "$2" | sed s,/boot/vmlinuz-,saved_entry=machine-, > /boot/grub2/grubenv',
}

const source = '/srv/base'
/** What the sources have from now on. */
function offer(...content: readonly Package[]): void {
  for (const one of content) cpSync(build(one), `${source}/${one.name}-${one.version ?? '1.0'}.rpm`)
  sh('createrepo_c', '--quiet', source)
  sh('dnf', '-q', 'clean', 'expire-cache')
}
const versions = (): readonly string[] =>
  sh('rpm', '-qa', '--qf', '%{NAME} %{VERSION}\n')
    .trim()
    .split('\n')
    .filter((line) => /^(?:kernel|kmod|note)/.test(line))
    .sort()

export interface Stage {
  readonly held: CheckOutcome
  readonly pending: CheckOutcome
  readonly refused: Refusal | undefined
  readonly versions: readonly string[]
  readonly boots: string | undefined
  readonly after: CheckOutcome
}

export interface Seen {
  readonly nothing: CheckOutcome
  readonly both: Stage
  readonly without: Stage
  readonly late: Stage
  readonly named: Stage
  readonly noDrbd: Stage
  readonly unknown: Refusal | undefined
  readonly dnfConf: string
}

async function main(): Promise<Seen> {
  makeKey()
  repository(source, '/srv/base.key', [release, ...named('curl', 'tar'), { name: 'note', version: '1.0' }])
  writeFileSync('/etc/yum.repos.d/base.repo', '[base]\nname=base\nbaseurl=file:///srv/base\ngpgcheck=1\ngpgkey=file:///srv/base.key\n')
  mkdirSync('/etc/dnf', { recursive: true })
  writeFileSync('/etc/dnf/dnf.conf', '[main]\nexclude=kernel* kmod-drbd*\ngpgcheck=1\nbest=True\n')
  mkdirSync('/boot/loader/entries', { recursive: true })
  mkdirSync('/boot/grub2', { recursive: true })
  // The kernel that runs is none of this root's packages.
  mkdirSync(`/lib/modules/${running}/extra/drbd`, { recursive: true })
  writeFileSync(`/lib/modules/${running}/vmlinuz`, '')
  writeFileSync(drbdKo(running), '9.3.3\n')
  writeFileSync(entry(running), `title EL\nversion ${running}\n`)
  for (const [name, text] of Object.entries(standIns)) writeFileSync(`/usr/sbin/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  for (const one of [release, { name: 'note', version: '1.0' }]) sh('rpm', '-i', '--nosignature', `${rpms}/${one.name}-${one.version}-1.noarch.rpm`)
  sh('rpm', '-i', '--nosignature', build(kernel('90.0')))
  sh('rpm', '-i', '--nosignature', build(module('9.3.3', releaseOf('90.0'))))

  const spec = (more: Partial<EnsureUpdated> = {}): EnsureUpdated => EnsureUpdated.fromPartial({ kernel: true, needsDrbd: true, ...more })
  const stage = async (more: Partial<EnsureUpdated> = {}): Promise<Stage> => {
    const held = await check(ensureUpdated, EnsureUpdated.fromPartial({}))
    const pending = await check(ensureUpdated, spec(more))
    const refused = await refusalOf(apply(ensureUpdated, spec(more)))
    return { held, pending, refused, versions: versions(), boots: await nextKernel(), after: await check(ensureUpdated, spec(more)) }
  }

  const nothing = await check(ensureUpdated, spec())
  offer(kernel('91.0'), module('9.3.4', releaseOf('90.0'), releaseOf('91.0')), { name: 'note', version: '1.1' })
  const both = await stage()
  // A kernel for which there is no module yet.
  offer(kernel('92.0'))
  const without = await stage()
  offer(module('9.3.5', releaseOf('91.0'), releaseOf('92.0')))
  const late = await stage()
  offer(
    kernel('93.0'),
    { name: 'kernel-modules-extra', version: '93.0' },
    kernel('94.0'),
    module('9.3.6', releaseOf('92.0'), releaseOf('93.0'), releaseOf('94.0')),
  )
  const chosen = await stage({ kernelVersion: '93.0-1' })
  offer(kernel('95.0'))
  const noDrbd = await stage({ needsDrbd: false })
  writeFileSync('/etc/default/grub', 'GRUB_DEFAULT="Some name of a menu"\n')
  const unknown = await refusalOf(check(ensureUpdated, spec()))
  return { nothing, both, without, late, named: chosen, noDrbd, unknown, dnfConf: readFileSync('/etc/dnf/dnf.conf', 'utf8') }
}

process.stdout.write(JSON.stringify(await main()))
