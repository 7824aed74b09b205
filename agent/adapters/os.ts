/** What kind of system the host is. */
import { exists } from './files.ts'

export type PackageSystem = 'apt' | 'dnf'

/** The host's package system; undefined where it has neither. Its own tools decide, not the distribution's name. */
export async function packageSystem(): Promise<PackageSystem | undefined> {
  if (await exists('/usr/bin/apt-get')) return 'apt'
  if (await exists('/usr/bin/dnf')) return 'dnf'
  return undefined
}

/** Whether something meant for `system` ("" means every one) concerns this host. */
export const concerns = async (system: string): Promise<boolean> => system === '' || system === (await packageSystem())
