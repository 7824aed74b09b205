/** Device nodes in a running host's /dev, made from outside through its process 1. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * A folder of a running host with those above it. Not by `recursive`: where the host ends meanwhile, Node.js tries for ever, since /proc is there
 * and what should be in it cannot be made.
 */
export function makeFolder(leader: number, path: string): void {
  let folder = `/proc/${leader}/root`
  for (const name of path.split('/').filter((part) => part !== '')) {
    folder = join(folder, name)
    if (!existsSync(folder)) mkdirSync(folder)
  }
}

/** Makes the node, or lets one that is there lead elsewhere; never is there none in between. `path`: as the host sees it. */
export function placeNode(leader: number, path: string, major: number, minor: number): void {
  const target = join(`/proc/${leader}/root`, path)
  if (leadsTo(target, major, minor)) return
  makeFolder(leader, dirname(path))
  rmSync(`${target}.new`, { force: true })
  execFileSync('mknod', ['-m', '660', `${target}.new`, 'b', String(major), String(minor)])
  renameSync(`${target}.new`, target)
}

export const removeNode = (leader: number, path: string): void => rmSync(join(`/proc/${leader}/root`, path), { force: true })

function leadsTo(path: string, major: number, minor: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isBlockDevice() !== true) return false
  // As makedev(3) composes it.
  return ((found.rdev >>> 8) & 0xfff) === major && ((found.rdev & 0xff) | ((found.rdev >>> 12) & 0xfff00)) === minor
}
