/** Base images of the chaos site, made once from Debian's packages and cached outside the checkout. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianImageFolder } from '../lab/harness/base-images.ts'
import { tinyImageFolder } from '../lab/harness/tiny-image.ts'

const images = join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'images')
const databaseStart = new URL('../../examples/pdns/roles/mariadb/files/mariadb-start', import.meta.url).pathname

type Run = (...argv: readonly [string, ...string[]]) => void

/** Makes FOLDER/FILE below the cache from what `fill` puts into the folder `root` of its work folder. Answers the archive's path. */
function made(folder: string, file: string, fill: (work: string, run: Run) => void): string {
  const result = join(images, folder, file)
  if (existsSync(result)) return result
  mkdirSync(join(images, folder), { recursive: true })
  const work = mkdtempSync(join(images, `.${folder}-`))
  try {
    const run: Run = (...[program, ...args]) => void execFileSync(program, args, { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
    mkdirSync(join(work, 'root'))
    fill(work, run)
    run('tar', '-C', 'root', '--sort=name', '--mtime=@0', '--numeric-owner', '-cf', 'archive.tar', '.')
    renameSync(join(work, 'archive.tar'), result)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return result
}

/** A name server of 2 MB (tinydns) beside a shell. */
const namesImage = (): string =>
  made('names', 'names_1.rootfs.tar', (work, run) => {
    run('tar', '-C', 'root', '-xf', join(tinyImageFolder(), 'busybox_1.rootfs.tar'))
    // apt's sandbox user can't write into the work folder.
    run('apt-get', '-o', 'APT::Sandbox::User=root', 'download', 'tinydns', 'libc6')
    for (const name of readdirSync(work).filter((one) => one.endsWith('.deb'))) run('dpkg-deb', '-x', name, 'unpacked')
    run('sh', '-c', 'mkdir -p root/lib64 root/usr/bin && cp unpacked/usr/sbin/tinydns unpacked/usr/sbin/tinydns-data root/usr/bin')
    // Newer packages have it below /usr.
    run(
      'sh',
      '-c',
      'cp -L "$(find unpacked -name ld-linux-x86-64.so.2 | head -1)" root/lib64 && mkdir -p root/lib && cp -L "$(find unpacked -name libc.so.6 | head -1)" root/lib',
    )
  })

/** MariaDB, with the start of the example site's. */
async function databaseImage(): Promise<string> {
  const base = join(await debianImageFolder(), 'debian_12.rootfs.tar')
  return made('mariadb', 'mariadb_1.rootfs.tar', (work, run) => {
    run('tar', '-C', 'root', '-xf', base)
    writeFileSync(
      join(work, 'root/install.sh'),
      'set -e\napt-get update\nDEBIAN_FRONTEND=noninteractive apt-get install -y mariadb-server\nrm -rf /opt/apt /var/lib/mysql\ninstall -d -o mysql -g mysql -m 750 /var/lib/mysql\n',
    )
    run('chroot', 'root', 'sh', '/install.sh')
    rmSync(join(work, 'root/install.sh'))
    copyFileSync(databaseStart, join(work, 'root/usr/local/sbin/mariadb-start'))
    chmodSync(join(work, 'root/usr/local/sbin/mariadb-start'), 0o755)
  })
}

/** A folder of its own with all of them, for HIVE_IMAGES; the caller removes it. */
export async function chaosImages(folder: string, withDatabase: boolean): Promise<void> {
  const all = [join(tinyImageFolder(), 'busybox_1.rootfs.tar'), namesImage(), ...(withDatabase ? [await databaseImage()] : [])]
  for (const path of all) symlinkSync(path, join(folder, path.slice(path.lastIndexOf('/') + 1)))
}
