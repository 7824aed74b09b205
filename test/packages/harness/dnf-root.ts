/** A root file system with rpm and dnf as its package system and nothing of apt, in which a program of the checkout runs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compiled } from '../../support/python-root.ts'
import { unpackedPackages } from '../../support/unpacked-packages.ts'
import { run } from './tools.ts'

const checkout = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '')

/** Mounts last as long as the program: they are in a mount namespace of its own. What it writes is in memory, over the unpacked packages. */
const inside = `set -e
lower=$1
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$2/upper,workdir=$2/work" "$2/root"
root=$2/root
for folder in proc dev tmp root run var/tmp var/lib/rpm etc/yum.repos.d var/log "$3"; do mkdir -p "$root/$folder"; done
mount --bind "$3" "$root/$3"
mount -o remount,bind,ro "$root/$3"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
shift 3
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
      finish: compiled,
    },
    signal,
  )
  const root = mkdtempSync(join(tmpdir(), 'hive-dnf-'))
  try {
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
      unpacked,
      root,
      checkout,
      node,
      join(checkout, program),
    ])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
