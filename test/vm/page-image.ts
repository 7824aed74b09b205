/** An image of a few megabytes that serves pages and asks for them: Debian's busybox with the C library that name look-ups need. Its `wget -T` crashes. */
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { unpackedPackages } from '../support/unpacked-packages.ts'

const files = [
  'bin/busybox',
  'lib64/ld-linux-x86-64.so.2',
  ...['ld-linux-x86-64.so.2', 'libc.so.6', 'libresolv.so.2'].map((name) => `lib/x86_64-linux-gnu/${name}`),
]
const commands = ['sh', 'cat', 'nslookup', 'wget']

/** A folder that holds pagebox_1.rootfs.tar, for HIVE_IMAGES. */
export async function pageImageFolder(signal: AbortSignal): Promise<string> {
  const root = await unpackedPackages({ name: 'pagebox', packages: ['busybox', 'libc6'], useless: ['usr', 'etc'], finish: { version: 4, work: pack } }, signal)
  return join(root, 'images')
}

async function pack(root: string, signal: AbortSignal): Promise<void> {
  const tree = join(root, 'image')
  for (const folder of ['bin', 'lib64', 'lib/x86_64-linux-gnu', 'etc', 'srv', 'tmp']) mkdirSync(join(tree, folder), { recursive: true })
  for (const file of files) cpSync(join(root, file), join(tree, file), { verbatimSymlinks: true })
  for (const command of commands) symlinkSync('busybox', join(tree, 'bin', command))
  mkdirSync(join(root, 'images'))
  const archive = join(root, 'images/pagebox_1.rootfs.tar')
  await run(['tar', '-C', tree, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', archive, '.'], { signal })
  rmSync(tree, { recursive: true })
}
