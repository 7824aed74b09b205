/** The smallest image that runs something: Debian's static busybox as a root file system archive, made once and cached outside the checkout. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const cache = join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'images')

/** A folder that holds busybox_1.rootfs.tar (2 MB), for HIVE_IMAGES. Needs Debian's packages the first time. */
export function tinyImageFolder(): string {
  const folder = join(cache, 'tiny')
  if (existsSync(join(folder, 'busybox_1.rootfs.tar'))) return folder
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, '.tiny-'))
  try {
    const run = (argv: readonly [string, ...string[]], cwd = work): void =>
      void execFileSync(argv[0], argv.slice(1), { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
    // apt's sandbox user can't write into the work folder.
    run(['apt-get', '-o', 'APT::Sandbox::User=root', 'download', 'busybox-static'])
    run(['sh', '-c', 'dpkg-deb -x busybox-static_*.deb unpacked'])
    for (const name of ['root/bin', 'root/tmp', 'root/etc', 'root/srv', 'root/data']) mkdirSync(join(work, name), { recursive: true })
    renameSync(join(work, 'unpacked/bin/busybox'), join(work, 'root/bin/busybox'))
    symlinkSync('busybox', join(work, 'root/bin/sh'))
    run(['tar', '-C', 'root', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', 'busybox_1.rootfs.tar', '.'])
    mkdirSync(join(work, 'out'))
    renameSync(join(work, 'busybox_1.rootfs.tar'), join(work, 'out/busybox_1.rootfs.tar'))
    chmodSync(join(work, 'out'), 0o755)
    rmSync(folder, { recursive: true, force: true })
    renameSync(join(work, 'out'), folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return folder
}
