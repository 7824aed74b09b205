import { existsSync } from 'node:fs'

/** Why this machine can't hold the emulator of EC2, or undefined where it can. */
export function ec2Obstacle(): string | undefined {
  if (process.platform !== 'linux') return `the emulator of EC2 is unpacked from Debian's packages, this is ${process.platform}`
  const missing = ['apt-get', 'dpkg', 'flock'].filter((tool) => !existsSync(`/usr/bin/${tool}`))
  if (missing.length > 0) return `the emulator of EC2 is unpacked from Debian's packages, which needs ${missing.join(' and ')}`
  return undefined
}
