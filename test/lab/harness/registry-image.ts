/** An image with the registry of Debian's packages, as a root file system archive, made once and cached outside the checkout. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const cache = join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'images')

/** The path of registry_2.rootfs.tar. Needs Debian's packages the first time. */
export function registryImage(): string {
  const result = join(cache, 'registry/registry_2.rootfs.tar')
  if (existsSync(result)) return result
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, '.registry-'))
  try {
    const run = (argv: readonly [string, ...string[]]): void => void execFileSync(argv[0], argv.slice(1), { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
    // apt's sandbox user can't write into the work folder.
    run(['apt-get', '-o', 'APT::Sandbox::User=root', 'download', 'docker-registry', 'libc6'])
    for (const name of ['docker-registry', 'libc6']) run(['sh', '-c', `dpkg-deb -x ${name}_*.deb unpacked`])
    run(['rm', '-rf', 'unpacked/usr/share', 'unpacked/lib/systemd', 'unpacked/usr/lib/systemd', 'unpacked/etc/init.d', 'unpacked/etc/docker'])
    // Newer packages leave these to the system that they are unpacked into.
    for (const name of ['lib', 'lib64']) if (!existsSync(join(work, 'unpacked', name))) symlinkSync(`usr/${name}`, join(work, 'unpacked', name))
    mkdirSync(join(work, 'unpacked/tmp'))
    symlinkSync('docker-registry', join(work, 'unpacked/usr/bin/registry'))
    run(['tar', '-C', 'unpacked', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', 'registry_2.rootfs.tar', '.'])
    mkdirSync(join(work, 'out'))
    renameSync(join(work, 'registry_2.rootfs.tar'), join(work, 'out/registry_2.rootfs.tar'))
    chmodSync(join(work, 'out'), 0o755)
    rmSync(join(cache, 'registry'), { recursive: true, force: true })
    renameSync(join(work, 'out'), join(cache, 'registry'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return result
}
