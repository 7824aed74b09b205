/** The file system of a guest: a Debian kernel with its modules, NFS client and server, LVM with what examines and formats disks, and Node.js, as one archive that the kernel unpacks. */
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { unpackedPackages } from '../support/unpacked-packages.ts'

export interface GuestRoot {
  readonly kernel: string
  readonly initramfs: string
  readonly busybox: string
}

/** PID 1: mounts what every system has, starts the test's program, and switches the machine off. Its answer goes to the second serial port. */
const init = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /etc /var/lib
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1
/bin/busybox mount -t tmpfs run /run
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox ip link set lo up
echo '127.0.0.1 localhost' >/etc/hosts
# Should the program hang, and whoever would switch the machine off be gone.
(/bin/busybox sleep 900; /bin/busybox poweroff -f) &
node /guest.mjs >/dev/ttyS1
echo "the guest's program ended with $?"
/bin/busybox sync
/bin/busybox poweroff -f
`

const layout = 2

export async function guestRoot(signal: AbortSignal): Promise<GuestRoot> {
  const root = await unpackedPackages(
    {
      name: 'guest',
      packages: [
        ...['linux-image-cloud-amd64', 'mount', 'coreutils', 'dash', 'busybox-static', 'libstdc++6', 'udev'],
        'nfs-kernel-server',
        ...['lvm2', 'thin-provisioning-tools', 'util-linux', 'fdisk', 'e2fsprogs', 'xfsprogs'],
      ],
      // libicu: of xfsprogs, only xfs_scrub uses it.
      without: /^(?:perl|libperl|python3|libpython3|dpkg|tar|usrmerge|linux-base|initramfs|klibc|libklibc|cpio|debconf|ucf|adduser|passwd|libicu|init-system)/,
      useless: ['usr/share', 'usr/lib/modules-load.d'],
      finish: {
        version: layout,
        work: async (tree) => {
          for (const name of readdirSync(join(tree, 'lib/modules'))) await run([join(tree, 'bin/busybox'), 'depmod', '-b', tree, name], { signal })
        },
      },
    },
    signal,
  )
  const kernel = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-'))
  if (kernel === undefined) throw new Error(`there is no kernel in ${root}/boot`)
  const { size, mtimeMs } = statSync(process.execPath)
  const version = createHash('sha256').update(JSON.stringify({ init, size, mtimeMs, layout })).digest('hex').slice(0, 12)
  const initramfs = `${root}.${version}.cpio`
  if (!existsSync(initramfs)) await pack(root, initramfs, signal)
  return { kernel: join(root, 'boot', kernel), initramfs, busybox: join(root, 'bin/busybox') }
}

async function pack(root: string, initramfs: string, signal: AbortSignal): Promise<void> {
  const tree = `${initramfs}.${process.pid}`
  try {
    await run(['cp', '-a', root, tree], { signal })
    rmSync(join(tree, 'boot'), { recursive: true, force: true })
    // Debian's packages still bring both places.
    for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
      if (!existsSync(join(tree, folder))) continue
      mkdirSync(join(tree, 'usr', folder), { recursive: true })
      await run(['cp', '-a', `${join(tree, folder)}/.`, join(tree, 'usr', folder)], { signal })
      rmSync(join(tree, folder), { recursive: true })
      symlinkSync(`usr/${folder}`, join(tree, folder))
    }
    // kmod wants an index that only its own depmod writes.
    rmSync(join(tree, 'usr/sbin/modprobe'), { force: true })
    symlinkSync('../bin/busybox', join(tree, 'usr/sbin/modprobe'))
    copyFileSync(process.execPath, join(tree, 'usr/bin/node'))
    writeFileSync(join(tree, 'init'), init)
    chmodSync(join(tree, 'init'), 0o755)
    await archive(join(root, 'bin/busybox'), tree, `${tree}.cpio`, signal)
    renameSync(`${tree}.cpio`, initramfs)
  } finally {
    rmSync(tree, { recursive: true, force: true })
    rmSync(`${tree}.cpio`, { force: true })
  }
}

/** A folder as an archive that a kernel unpacks at its start. All belongs to root in it. */
export async function archive(busybox: string, folder: string, to: string, signal: AbortSignal): Promise<void> {
  await run(['sh', '-c', 'cd "$1" && "$2" find . | "$2" cpio -o -H newc -R 0:0 >"$3"', 'sh', folder, busybox, to], { signal, timeout: 120_000 })
}
