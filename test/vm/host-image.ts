/** The disk of a whole Debian host: the root that hosts of this machine have, with the modules of a kernel. Made once, kept by what it is made of. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { ensureBaseRoot } from '../../coordinator/providers/nspawn/base-root.ts'
import { withLock } from '../../coordinator/providers/nspawn/lock.ts'
import { ensureTools } from '../../coordinator/providers/nspawn/tools.ts'
import { umlKernel } from './uml.ts'

export interface HostImage {
  readonly kernel: string
  /** ext4. Not to be written to. */
  readonly disk: string
  /** A program of the disk: the kernel's `init`. */
  readonly init: string
}

/** Bytes of the disk; the file takes what is written. */
const size = 6 * 1024 ** 3
const init = '/usr/lib/hive-vm-init'

/** Lays the host's own files, a folder of this machine, over the root, sets up the network, which nothing else does, and hands over to systemd. */
const initScript = `#!/bin/sh
set -e
mount -t hostfs own /mnt
cp -a /mnt/. /
umount /mnt
. /etc/vm-network
ip link set lo up
ip address add "$address" broadcast + dev vec0
ip link set vec0 up
ip route add default via "$gateway"
exec /sbin/init
`

/** In a mount namespace of its own: a layer over the root, which stays as it is. */
const makeScript = [
  'mount -t overlay base -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"',
  'mkdir -p "$4/usr/lib/modules"; cp -a "$5" "$4/usr/lib/modules/"',
  // The kernel has no chains for what nftables' iptables writes.
  'for tool in iptables ip6tables; do chroot "$4" update-alternatives --quiet --set $tool /usr/sbin/$tool-legacy; done',
  // Whoever adds a certificate has openssl read all of them anew, and nobody here shows one of theirs.
  ': >"$4/etc/ca-certificates.conf"; chroot "$4" update-ca-certificates --fresh >/dev/null',
  // As on a server where docker was only installed: it is started once, by hivecoord, with the configuration that it gets.
  'systemctl --quiet --root="$4" disable docker.service docker.socket containerd.service',
  `cat >"$4${init}"; chmod 755 "$4${init}"`,
  'mke2fs -q -t ext4 -O ^has_journal -d "$4" "$6"',
].join('\n')

export async function hostImage(signal: AbortSignal): Promise<HostImage> {
  const say = (event: object): void => console.error('message' in event ? event.message : event)
  await ensureTools(say, signal)
  const [base, kernel] = [await ensureBaseRoot(say, signal), await umlKernel(signal)]
  const folder = join(dirname(kernel.root), 'hosts')
  const recipe = JSON.stringify([basename(base), basename(kernel.root), size, initScript, makeScript])
  const disk = join(folder, `disk-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  mkdirSync(folder, { recursive: true })
  await withLock(
    join(folder, 'lock'),
    signal,
    () => undefined,
    async () => {
      if (!existsSync(disk)) await makeDisk(disk, base, kernel.modules, signal)
    },
  )
  return { kernel: kernel.program, disk, init }
}

async function makeDisk(disk: string, base: string, modules: string, signal: AbortSignal): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  const mine = 'building-'
  for (const name of readdirSync(dirname(disk))) if (name.startsWith(mine)) rmSync(join(dirname(disk), name), { recursive: true, force: true })
  const work = mkdtempSync(join(dirname(disk), mine))
  try {
    const [upper, scratch, root, file] = ['upper', 'work', 'root', 'disk'].map((name) => join(work, name)) as [string, string, string, string]
    for (const one of [upper, scratch, root]) mkdirSync(one, { mode: 0o755 })
    writeFileSync(file, '')
    truncateSync(file, size)
    const argv = ['unshare', '--mount', 'sh', '-ec', makeScript, 'sh', base, upper, scratch, root, modules, file] as const
    await run([...argv], { input: initScript, timeout: 300_000, signal })
    renameSync(file, disk)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
