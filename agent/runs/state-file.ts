/** Small files of the agent's own memory, replaced whole. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

let written = 0

/** Writes beside the target, syncs, renames, and syncs the folder: after a crash there is the old content or the new one. */
export async function writeWhole(path: string, content: string, mode = 0o600): Promise<void> {
  // Of several writers at once each has its own; the last one to rename wins.
  written += 1
  const beside = `${path}.${process.pid}.${written}.new`
  try {
    const file = await open(beside, 'w', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
