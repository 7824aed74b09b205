import { existsSync } from 'node:fs'

/** Why this machine can't build and try packages, or undefined where it can. */
export function packagesObstacle(): string | undefined {
  if (process.platform !== 'linux') return `packages need Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'installing into a root of its own needs root'
  if (!existsSync('/usr/bin/apt-get')) return "rpm's tools come from Debian's packages"
  return undefined
}
