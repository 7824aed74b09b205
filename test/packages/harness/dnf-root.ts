/** A root file system with rpm and dnf as its package system and nothing of apt, in which a program of the checkout runs. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackedPackages } from '../../support/unpacked-packages.ts'
import { run } from './tools.ts'

const checkout = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '')

/** Mounts last as long as the program: they are in a mount namespace of its own. */
const inside = `set -e
mount --bind "$2" "$1$2"
mount -o remount,bind,ro "$1$2"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
root=$1
shift 2
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$root" "$@"
`

/** What a TypeScript file of the checkout writes to standard output in a new such root, which is removed afterwards. */
export async function runInDnfRoot(program: string, signal: AbortSignal): Promise<string> {
  const unpacked = await unpackedPackages(
    {
      name: 'dnf',
      packages: ['dnf', 'dnf-plugins-core', 'rpm', 'createrepo-c', 'gnupg', 'coreutils', 'dash', 'bash', 'sed', 'grep', 'findutils', 'libstdc++6', 'libc-bin'],
      without: /^(?:perl|libperl|dpkg|apt|libapt|usrmerge|debconf|ucf|adduser|passwd|gcc|g\+\+|cpp)$/,
      useless: ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/lib/python3/dist-packages/dnf-plugins/local.py'],
    },
    signal,
  )
  const root = mkdtempSync(join(tmpdir(), 'hive-dnf-'))
  try {
    await run(['cp', '-a', `${unpacked}/.`, root])
    for (const folder of ['proc', 'dev', 'tmp', 'root', 'run', 'var/tmp', 'var/lib/rpm', 'etc/yum.repos.d', 'var/log', checkout])
      mkdirSync(join(root, folder), { recursive: true })
    const node = join(checkout, 'node_modules/.bin/node')
    return await run([
      'unshare',
      '--mount',
      '--propagation',
      'private',
      '--pid',
      '--fork',
      '--kill-child',
      '--',
      'sh',
      '-c',
      inside,
      'sh',
      root,
      checkout,
      node,
      join(checkout, program),
    ])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
