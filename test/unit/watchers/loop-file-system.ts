/** A small ext4 on a loop device, for tests that mount for real in a mount namespace of their own. */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why this machine can't have one; false where it can. */
export const noLoop = ((): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    accessSync('/dev/loop-control', constants.W_OK)
    for (const tool of [
      ['mkfs.ext4', '-V'],
      ['losetup', '--version'],
      ['unshare', '--mount', 'true'],
    ] as const)
      execFileSync(tool[0], tool.slice(1), { stdio: 'ignore' })
    return false
  } catch (error) {
    return `needs loop devices, mkfs.ext4 and mount namespaces: ${String(error).split('\n')[0]}`
  }
})()

export class LoopFileSystem {
  readonly folder = mkdtempSync(join(tmpdir(), 'hive-loop-'))
  readonly mountPoint = join(this.folder, 'mnt')
  /** /dev/loopN */
  readonly device: string

  constructor() {
    const image = join(this.folder, 'image')
    mkdirSync(this.mountPoint)
    writeFileSync(image, '')
    truncateSync(image, 8 << 20)
    execFileSync('mkfs.ext4', ['-q', image])
    this.device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim()
  }

  close(): void {
    execFileSync('losetup', ['-d', this.device])
    rmSync(this.folder, { recursive: true })
  }
}
