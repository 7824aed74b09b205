import { existsSync } from 'node:fs'
import { freemem } from 'node:os'

/** Bytes: the guest's memory, and what the emulation needs beside it. */
const enough = 1800 * 1024 ** 2
/** Bytes of a whole host: its memory, which is this machine's as far as it was ever used, and what it wrote to its disk. */
const perHost = 1200 * 1024 ** 2

/** Why this machine can't hold a virtual machine, or undefined where it can. */
export function vmObstacle(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `virtual machines are made of Debian's packages for x86-64, this is ${process.platform} ${process.arch}`
  const missing = ['apt-get', 'dpkg', 'flock'].filter((tool) => !existsSync(`/usr/bin/${tool}`))
  if (missing.length > 0) return `virtual machines are made of Debian's packages, which needs ${missing.join(' and ')}`
  if (freemem() < enough) return `a virtual machine needs ${Math.round(enough / 1024 ** 2)} MB of free memory`
  return undefined
}

/** Why this machine can't hold so many whole hosts as virtual machines, or undefined where it can. */
export function hostsObstacle(count: number): string | undefined {
  if (process.getuid?.() !== 0) return 'hosts on a network of their own need root'
  if (!existsSync('/dev/net/tun')) return 'hosts on a network of their own need /dev/net/tun'
  if (freemem() < count * perHost) return `${count} hosts need ${Math.round((count * perHost) / 1024 ** 2)} MB of free memory`
  return undefined
}
