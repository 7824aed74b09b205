/** A base image that takes a while to send and to pull. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Adds NAME_1.rootfs.tar to a folder of base images that holds the tiny one: the same, and `megabytes` that do not compress. */
export function addBulkyImage(folder: string, name: string, megabytes: number): void {
  const work = mkdtempSync(join(tmpdir(), 'hive-bulky-'))
  const run = (...argv: [string, ...string[]]): void => void execFileSync(argv[0], argv.slice(1), { cwd: work, stdio: 'pipe' })
  try {
    run('tar', '-xf', join(folder, 'busybox_1.rootfs.tar'))
    run('sh', '-c', `head -c ${megabytes}M /dev/urandom > srv/bulk`)
    run('tar', '--owner=0', '--group=0', '--numeric-owner', '-cf', join(folder, `${name}_1.rootfs.tar`), '.')
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
