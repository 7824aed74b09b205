/**
 * Loop devices over files of one folder, so that whatever becomes of this process they can be found by that folder and let go. The kernel
 * keeps one that is still mounted until it is not.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Major number of loop devices. */
export const loopMajor = 7

const backingFile = (name: string): string | undefined => {
  try {
    // A file that was deleted has this behind its name.
    return readFileSync(join('/sys/block', name, 'loop/backing_file'), 'utf8')
      .trimEnd()
      .replace(/ \(deleted\)$/, '')
  } catch {
    return undefined
  }
}

export const loopNode = (number: number): string => `/dev/loop${number}`

/** A new loop device over the file; its number. */
export const attachLoop = (file: string): number =>
  Number(execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).replace(/^\/dev\/loop/, ''))

/** Lets it go, at once or as soon as nobody uses it. */
export function detachLoop(number: number): void {
  try {
    execFileSync('losetup', ['--detach', loopNode(number)], { stdio: 'ignore' })
  } catch {
    // It is gone already.
  }
}

/** The file's new size becomes the device's, also while it is mounted. */
export const growLoop = (number: number): void => void execFileSync('losetup', ['--set-capacity', loopNode(number)], { stdio: 'ignore' })

/** Whether the device still leads to this file. */
export const isAttached = (number: number, file: string): boolean => backingFile(`loop${number}`) === file

/** Whether a file system is mounted from it, in whatever mount namespace and be it lazily detached, or a program has claimed it (mkfs). */
export function isClaimed(number: number): boolean {
  try {
    closeSync(openSync(loopNode(number), constants.O_RDONLY | constants.O_EXCL))
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBUSY'
  }
}

/** Sectors of 512 bytes that were ever written to the device of this number. */
export const sectorsWritten = (number: number): number => Number(readFileSync(`/sys/block/loop${number}/stat`, 'utf8').trim().split(/\s+/)[6])

/** Numbers of all loop devices over files below a folder. */
export const loopsBelow = (folder: string): readonly number[] =>
  readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop') && backingFile(name)?.startsWith(`${folder}/`) === true)
    .map((name) => Number(name.slice('loop'.length)))

/** A sparse file of this many bytes; one that is there grows, and is never cut. */
export function sparseFile(path: string, bytes: number): void {
  writeFileSync(path, '', { flag: 'a' })
  execFileSync('truncate', [`--size=>${bytes}`, path])
}
