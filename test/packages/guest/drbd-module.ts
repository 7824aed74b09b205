/**
 * In a root with dnf: the whole step for DRBD's module, with packages that bring stand-ins of drbdadm and of the module. modinfo, lsmod and
 * modprobe are stand-ins too: "loaded" is a file with a version. Writes what it saw as JSON; the test judges it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { ensureDrbdModule } from '../../../agent/steps/ensure-drbd-module.ts'
import type { CheckOutcome } from '../../../agent/steps/executor.ts'
import { apply, build, check, makeKey, named, type Package, type Refusal, refusalOf, repository, rpms, sh } from './rpm-packages.ts'

const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
const loaded = '/run/drbd-loaded'
const refuses = '/run/modprobe-refuses'
const module = `/lib/modules/${kernel}/extra/drbd/drbd.ko`

/** What the real ones print, as far as the step reads it. The file of the module has its version in it. */
const standIns: Readonly<Record<string, string>> = {
  modinfo: `[ -s ${module} ] || { echo "modinfo: ERROR: Module drbd not found." >&2; exit 1; }
echo "filename:       ${module}"; echo "version:        $(grep . ${module})"; echo "signer:         a key"`,
  lsmod: `echo "Module                  Size  Used by"; [ ! -e ${loaded} ] || echo "drbd                  872448  0"`,
  modprobe: `if [ "$1" = -r ]; then rm -f ${loaded}; exit 0; fi
[ ! -e ${refuses} ] || { echo "modprobe: ERROR: could not insert 'drbd': Required key not available" >&2; exit 1; }
grep . ${module} > ${loaded}`,
}
const drbdadm = `#!/bin/sh
version=$(cat ${loaded} 2>/dev/null || cat ${module} 2>/dev/null | grep .)
echo "DRBD_KERNEL_VERSION=\${version:-0}"
echo "DRBDADM_VERSION=9.34.0"`

function archive(version: string): string {
  const content: readonly Package[] = [
    { name: 'drbd-utils', version: '9.34.0', programs: { '/usr/sbin/drbdadm': drbdadm } },
    { name: 'drbd-km', version, programs: { [module]: version } },
  ]
  const folder = `/tmp/drbd-${version}`
  mkdirSync(folder)
  for (const one of content) sh('cp', build(one, false), folder)
  sh('tar', '-cf', `/srv/drbd-${version}.tar`, '-C', '/tmp', `drbd-${version}`)
  return `file:///srv/drbd-${version}.tar`
}

export interface Seen {
  readonly tooOld: Refusal | undefined
  readonly before: CheckOutcome
  readonly refused: Refusal | undefined
  readonly betweenTimes: CheckOutcome
  readonly after: CheckOutcome
  readonly loadedVersion: string
  readonly files: readonly string[]
  readonly live: CheckOutcome
  readonly liveSameArchive: CheckOutcome
  readonly refusedLive: Refusal | undefined
  readonly liveSettled: CheckOutcome
  readonly liveBefore: CheckOutcome
  readonly liveAfter: CheckOutcome
  readonly liveLoaded: string
}

async function main(): Promise<Seen> {
  makeKey()
  repository('/srv/base', '/srv/base.key', named('curl', 'tar'))
  writeFileSync('/etc/yum.repos.d/base.repo', '[base]\nname=base\nbaseurl=file:///srv/base\ngpgcheck=1\ngpgkey=file:///srv/base.key\n')
  mkdirSync('/etc/dnf', { recursive: true })
  writeFileSync('/etc/dnf/dnf.conf', '[main]\ngpgcheck=1\nbest=True\n')
  for (const [name, text] of Object.entries(standIns)) writeFileSync(`/usr/sbin/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  const release: Package = { name: 'el-release', version: '9', tags: ['Provides: system-release', 'Provides: system-release(releasever) = 9'] }
  build(release)
  sh('rpm', '-i', '--nosignature', `${rpms}/el-release-9-1.noarch.rpm`)
  const spec = (version: string): Parameters<typeof ensureDrbdModule.check>[0] => ({ downloadUrl: archive(version), kernelVersion: '' })
  const [old, good, better] = [spec('9.3.2'), spec('9.3.3'), spec('9.3.4')]

  const tooOld = await refusalOf(apply(ensureDrbdModule, old))
  const before = await check(ensureDrbdModule, good)
  writeFileSync(refuses, '')
  const refused = await refusalOf(apply(ensureDrbdModule, good))
  rmSync(refuses)
  const betweenTimes = await check(ensureDrbdModule, good)
  await apply(ensureDrbdModule, good)
  const after = await check(ensureDrbdModule, good)
  const loadedVersion = readFileSync(loaded, 'utf8').trim()
  const files = ['/etc/modules-load.d/hive-drbd.conf', '/etc/modprobe.d/hive-drbd.conf', '/etc/dnf/dnf.conf'].map((file) => readFileSync(file, 'utf8'))

  // A host of hive-builder's: older, with volumes.
  mkdirSync('/etc/drbd.d', { recursive: true })
  writeFileSync('/etc/drbd.d/data.res', 'resource data {}\n')
  writeFileSync(loaded, '9.3.2\n')
  writeFileSync(module, '9.3.2\n')
  const live = await check(ensureDrbdModule, { downloadUrl: '', kernelVersion: '' })
  const liveSameArchive = await check(ensureDrbdModule, old)
  // What else is to be put right there leaves its module alone.
  rmSync('/etc/modules-load.d/hive-drbd.conf')
  const refusedLive = await refusalOf(apply(ensureDrbdModule, old))
  const liveSettled = await check(ensureDrbdModule, old)
  // rpm has 9.3.3 installed: an archive with a newer one replaces it.
  const liveBefore = await check(ensureDrbdModule, better)
  await apply(ensureDrbdModule, better)
  const liveAfter = await check(ensureDrbdModule, better)
  const liveLoaded = readFileSync(loaded, 'utf8').trim()
  return {
    ...{ tooOld, before, refused, betweenTimes, after, loadedVersion, files },
    ...{ live, liveSameArchive, refusedLive, liveSettled, liveBefore, liveAfter, liveLoaded },
  }
}

process.stdout.write(JSON.stringify(await main()))
