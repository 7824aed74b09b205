import { existsSync } from 'node:fs'

/** Why this machine can't run the services in place, or undefined where it can. */
export function servicesObstacle(): string | undefined {
  if (process.platform !== 'linux') return `services are unpacked from Debian's packages, this is ${process.platform}`
  const missing = ['apt-get', 'dpkg', 'flock'].filter((tool) => !existsSync(`/usr/bin/${tool}`))
  if (missing.length > 0) return `services are unpacked from Debian's packages, which needs ${missing.join(' and ')}`
  return undefined
}
