/** The base images that tests build on, made once from Debian's packages and cached outside the checkout. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureTools } from '../../../coordinator/providers/nspawn/tools.ts'

const checkout = new URL('../../..', import.meta.url).pathname
const images = join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'images')

/** A folder that holds debian_12.rootfs.tar, as the example site uses it. */
export async function debianImageFolder(): Promise<string> {
  await ensureTools(() => undefined, AbortSignal.timeout(300_000))
  execFileSync(join(checkout, 'examples/pdns/prepare.sh'), { stdio: ['ignore', 'inherit', 'inherit'] })
  return images
}

/** A folder that holds systemd_12.rootfs.tar: the same with systemd as its init. */
export async function systemdImageFolder(): Promise<string> {
  const base = join(await debianImageFolder(), 'debian_12.rootfs.tar')
  const folder = join(images, 'systemd')
  const result = join(folder, 'systemd_12.rootfs.tar')
  if (existsSync(result)) return folder
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(images, '.systemd-'))
  const run = (argv: readonly [string, ...string[]]): void => void execFileSync(argv[0], argv.slice(1), { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    mkdirSync(join(work, 'root'))
    run(['tar', '-C', 'root', '-xf', base])
    writeFileSync(join(work, 'install.sh'), 'set -e\napt-get update\nDEBIAN_FRONTEND=noninteractive apt-get install -y systemd-sysv dbus\nrm -rf /opt/apt\n')
    renameSync(join(work, 'install.sh'), join(work, 'root/install.sh'))
    run(['chroot', 'root', 'sh', '/install.sh'])
    rmSync(join(work, 'root/install.sh'))
    run(['tar', '-C', 'root', '-cf', 'systemd.tar', '.'])
    renameSync(join(work, 'systemd.tar'), result)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return folder
}
