/** The repository server's own data: in a container of this host, or a folder of the host itself. */

import * as fs from 'node:fs/promises'
import { statfs } from 'node:fs/promises'
import path from 'node:path'
import type { BackupScript } from '#gen/hive/v1/steps_backup.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { run } from '../../adapters/command.ts'
import { dockerGet, dockerPost, orUndefined } from '../../adapters/docker.ts'
import { type LoadInput, load } from './load.ts'
import { containerPlace, hostPlace, type Place } from './place.ts'
import { rehearse, rehearseDirectory } from './rehearse.ts'

export const ownPlace = (script: BackupScript): Place => (script.onHost ? hostPlace : containerPlace(script.container, `container ${script.container}`))

type OwnInput = Omit<LoadInput, 'place' | 'strip'>

/** What writes into it is stopped meanwhile; what ran before runs again, whatever comes. */
export async function loadOwn(input: OwnInput, strip: number): Promise<void> {
  const { script, signal, onLine } = input
  const units = await filtered(script.stopUnits, unitRuns)
  const containers = await filtered(script.stopContainers, containerRuns)
  try {
    for (const unit of units) await run(['systemctl', 'stop', unit], { timeout: 120_000 })
    for (const container of containers) await dockerPost(`/containers/${container}/stop`, { query: { t: '10' }, signal })
    await load({ ...input, place: ownPlace(script), strip })
  } finally {
    const again = [
      ...containers.map((container) => ({ what: container, start: () => dockerPost(`/containers/${container}/start`) })),
      ...units.map((unit) => ({ what: unit, start: () => run(['systemctl', 'start', unit], { timeout: 120_000 }) })),
    ]
    for (const { what, start } of again) await start().catch((error: unknown) => onLine(`${what} does not start again: ${messageOf(error)}`))
  }
}

const unitRuns = async (unit: string): Promise<boolean> =>
  (await run(['systemctl', 'is-active', '--quiet', unit], { readOnly: true, okCodes: [0, 3, 4] })).code === 0

async function containerRuns(container: string): Promise<boolean> {
  const found = await orUndefined(dockerGet<{ readonly State?: { readonly Running?: boolean } }>(`/containers/${container}/json`))
  return found?.State?.Running === true
}

async function filtered(names: readonly string[], test: (name: string) => Promise<boolean>): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of names) if (await test(name)) found.push(name)
  return found
}

/** A drill without touching what runs: a folder beside the backups, or a container like the one that runs. */
export async function rehearseOwn(input: OwnInput & { readonly sha256: string }, folder: string, unpacked: number): Promise<string> {
  const { script } = input
  if (!script.onHost) return rehearse({ ...input, container: script.container })
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < unpacked * 1.1 + input.size + 512 * 1024 * 1024) throw new HiveError('blocked', `no room for a drill of ${script.name} in ${folder}`)
  const trial = await fs.mkdtemp(path.join(folder, '.drill-'))
  try {
    return await rehearseDirectory({ ...input, script: { ...script, directory: trial } }, hostPlace)
  } finally {
    await fs.rm(trial, { recursive: true, force: true })
  }
}

/**
 * How many folders lead to the registry's data in an archive: hive-builder's name it from the root of its container on, ours do not. `names`:
 * of entries, one that has docker/registry in it decides.
 */
export function leadingFolders(names: Iterable<string>): number {
  for (const name of names) {
    const before = /^(.*?)docker\/registry(?:\/|$)/.exec(name)?.[1]
    if (before === undefined) continue
    return before === '' || before === './' ? 0 : before.split('/').length - 1
  }
  return 0
}
