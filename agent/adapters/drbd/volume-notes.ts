/**
 * What was begun with a volume on this host and must be found again after a kill. Written before the thing is done and taken back after
 * it; what the disks and DRBD say themselves is not kept here.
 */
import { readFileState, removeFile, writeFileAtomic } from '../files.ts'
import { stateFolder } from '../state-folder.ts'

export interface VolumeNotes {
  /** Which logical volume this agent made and has not written metadata on yet, as the kernel names it. */
  readonly madeDisk?: string
  /** The first generation of its data is made by this host; no file system is on it yet. */
  readonly firstGeneration?: true
  /** This host began to make that file system. */
  readonly formatting?: true
  /** Node ids of hosts that no longer take part, to be forgotten in the metadata. */
  readonly forget?: readonly number[]
}

const path = (name: string): string => `${stateFolder()}/drbd/${name}.json`

export async function readNotes(name: string): Promise<VolumeNotes> {
  const state = await readFileState(path(name))
  if (state === undefined) return {}
  return JSON.parse(state.content.toString('utf8')) as VolumeNotes
}

/** Changes what `changes` names; undefined takes it away. */
export async function note(name: string, changes: { readonly [K in keyof VolumeNotes]?: VolumeNotes[K] | undefined }): Promise<void> {
  const merged = Object.entries({ ...(await readNotes(name)), ...changes }).filter(([, value]) => value !== undefined)
  if (merged.length === 0) return removeFile(path(name))
  await writeFileAtomic(path(name), `${JSON.stringify(Object.fromEntries(merged))}\n`, { mode: 0o600, uid: 0, gid: 0 })
}
