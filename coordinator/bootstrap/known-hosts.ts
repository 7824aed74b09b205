/** Host keys that were recorded on first contact, forgotten where a host was made anew: the next one at its address has others. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../providers/command.ts'
import { knownHostsOf } from './ssh.ts'

/** As known_hosts names a host: other ports than ssh's own are part of its name. */
export const nameInKnownHosts = (address: string, port: number): string => (port === 22 ? address : `[${address}]:${port}`)

/** One after the other: each call writes the whole file anew. Nothing where nothing is recorded. */
export async function forgetHostKeys(contextDir: string, names: readonly string[]): Promise<void> {
  const file = knownHostsOf(contextDir)
  for (const name of new Set(names)) {
    if (!existsSync(file)) return
    await run(['ssh-keygen', '-q', '-R', name, '-f', file], { okCodes: [0, 1, 255] })
  }
}

/** All of a stage's. */
export function forgetAllHostKeys(contextDir: string): void {
  for (const name of ['known_hosts', 'known_hosts.old']) rmSync(join(contextDir, name), { force: true })
}
