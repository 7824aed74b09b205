/**
 * Hosts that this machine makes have addresses only inside the stage's own network namespace. Outside of it the same addresses
 * may belong to somebody else, so they are not dialled from there.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { readTextIfPresent } from '../run/atomic-file.ts'

/** Why this process must not dial the stage's hosts; undefined where it may. The namespace's name is in CONTEXT_DIR/netns. */
export function outsideStageNetwork(contextDir: string, provider: string): string | undefined {
  const name = readTextIfPresent(join(contextDir, 'netns'))?.trim()
  if (name === undefined || name === '') return provider === 'nspawn' ? "the stage's network does not exist yet" : undefined
  const wanted = inode(`/run/netns/${name}`)
  if (wanted === undefined) return `the stage's network (${name}) is down; build-infra or start brings it up`
  return inode('/proc/self/ns/net') === wanted ? undefined : `this process is not in the stage's network (${name})`
}

function inode(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}
