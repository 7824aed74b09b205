/**
 * What a host needs of DRBD in user space: Debian's own drbd-utils and xfsprogs, installed, with wrappers where they would talk to a kernel
 * module. drbdadm is the real one; the drbdsetup and drbdmeta that it finds are wrappers.
 */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { unpackedPackages } from '../../support/unpacked-packages.ts'
import { wrapper } from './call-server.ts'
import { lvmTools } from './fake-lvm.ts'
import type { Outcome } from './fake-machine.ts'
import { makeFolder } from './nodes.ts'

/** The folder of the test, as hosts see it. */
export const folderInHosts = '/opt/fake-drbd'
const socketInHosts = join(folderInHosts, 'socket')
const packagesInHosts = join(folderInHosts, 'packages')
/** Where the real programs are put that wrappers stand in front of. */
const aside = '/usr/lib/fake-drbd'
export const realDrbdmeta = join(aside, 'drbdmeta')
/** The version of the recordings that the fake was made from. */
export const moduleVersion = '9.3.3'

const drbdadm = `#!/bin/bash
# FAKE: the real drbdadm, told that the kernel has DRBD ${moduleVersion}; called by its plain name, so that it finds drbdsetup by PATH and calls it so.
export DRBD_DRIVER_VERSION_OVERRIDE=${moduleVersion}
exec -a drbdadm ${join(aside, 'drbdadm')} "$@"
`

/** Wrapped in /usr/local/sbin, which comes first in PATH; what they do not know they hand to the real ones. */
const wrapped = ['modprobe', 'modinfo', 'lsmod', 'journalctl', 'dmesg', 'dd', 'blkid', 'wipefs', ...lvmTools]

/** A folder with the .deb files, fetched once and kept in the cache. */
export const packageFolder = (signal: AbortSignal): Promise<string> =>
  unpackedPackages(
    {
      name: 'fake-drbd',
      packages: ['drbd-utils', 'xfsprogs', 'libinih1', 'liburcu8', 'libicu72', 'fdisk', 'thin-provisioning-tools'],
      useless: [],
      archives: true,
    },
    signal,
  )

/** Writes the wrappers into a host by its process 1, at once: nothing in it has run a tool yet. */
export function writeWrappers(leader: number): void {
  const root = `/proc/${leader}/root`
  const write = (path: string, text: string): void => {
    makeFolder(leader, dirname(path))
    writeFileSync(join(root, path), text)
    chmodSync(join(root, path), 0o755)
  }
  const script = wrapper(socketInHosts)
  for (const tool of wrapped) write(`/usr/local/sbin/${tool}`, script)
  for (const tool of ['drbdsetup', 'drbdmeta']) write(join('/usr/sbin', tool), script)
  write('/usr/sbin/drbdadm', drbdadm)
}

/** Runs a program in a host as if it had been started there. */
export function captureInHost(leader: number, argv: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', ['--target', String(leader), '--all', '--', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 255, ...said }))
  })
}

/** Its standard output. Rejects with its last words unless it ends with 0. */
export async function inHost(leader: number, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await captureInHost(leader, argv)
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}: ${(stdout + stderr).slice(-2000)}`)
  return stdout
}

/** Installs the packages where they are not yet, with the wrapped programs put aside (dpkg-divert). */
export async function installPackages(leader: number): Promise<void> {
  if (existsSync(`/proc/${leader}/root${realDrbdmeta}`)) return
  const moved = ['drbdadm', 'drbdsetup', 'drbdmeta']
  const diverts = moved.map((tool) => `dpkg-divert --quiet --local --no-rename --divert ${join(aside, tool)} --add /sbin/${tool}`)
  await inHost(leader, ['sh', '-ec', [`mkdir -p ${aside}`, ...diverts, `dpkg --install ${packagesInHosts}/*.deb`].join('\n')])
}
