/** Files as one archive, gzipped tar, readable by its owner alone. */
import { once } from 'node:events'
import { createWriteStream, rmSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'

export interface BundleFile {
  /** Below the bundle's folder, with slashes. */
  readonly name: string
  readonly text: string
}

/** All below one folder. Never overwrites: rejects where `path` is there. What was begun is taken away where it fails. */
export async function writeBundle(path: string, folder: string, files: readonly BundleFile[], now: Date): Promise<void> {
  const target = createWriteStream(path, { flags: 'wx', mode: 0o600 })
  await once(target, 'open')
  const archive = pack()
  for (const { name, text } of files) archive.entry({ name: `${folder}/${name}`, mode: 0o600, mtime: now }, text)
  archive.finalize()
  try {
    await pipeline(archive, createGzip(), target)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
}
