/** The hosts of the stage that a site's folder has made on this machine, and whether they run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { leaderOf } from '../../../coordinator/providers/nspawn/machine.ts'
import {
  hostFolder,
  hostsOnDisk,
  readHostRecord,
  type StageFolder,
  type StageIdentity,
  stageFolder,
  stateRoot,
} from '../../../coordinator/providers/nspawn/stage-folder.ts'

export interface SeenHost {
  readonly name: string
  readonly address: string
  /** Process 1 of a running host, by this machine's count. */
  readonly leader: number | undefined
}

/** undefined until the provider has begun the stage. */
export function stageOf(siteFolder: string): StageFolder | undefined {
  if (!existsSync(stateRoot)) return undefined
  for (const name of readdirSync(stateRoot)) {
    try {
      const found = JSON.parse(readFileSync(join(stateRoot, name, 'stage.json'), 'utf8')) as { readonly site: string } & Omit<StageIdentity, 'root'>
      if (found.site === siteFolder) return stageFolder({ ...found, root: found.site })
    } catch {
      // Being made, or taken away.
    }
  }
  return undefined
}

export const hostsOf = (stage: StageFolder): readonly SeenHost[] =>
  hostsOnDisk(stage).flatMap((name) => {
    const folder = hostFolder(stage, name)
    const record = readHostRecord(folder)
    return record === undefined ? [] : [{ name, address: record.address, leader: leaderOf(folder) }]
  })
