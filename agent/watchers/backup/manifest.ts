/** What is known of one backup file: manifest/FILE.json beside it. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type FileProperties, writeFileAtomic } from '../../adapters/files.ts'
import { manifestFolder, manifestName } from './file-names.ts'

export interface Manifest {
  readonly version: 1
  readonly file: string
  readonly name: string
  readonly service: string
  /** Host that made the dump. */
  readonly host: string
  readonly started: string
  readonly finished: string
  readonly size: number
  readonly sha256: string
  readonly stages: readonly { readonly name: string; readonly exitCode: number }[]
  readonly warnings: readonly string[]
  readonly content: { readonly form: string; readonly gzip: boolean; readonly unpacked: number; readonly entries: number; readonly digest: string }
  /** When a drill restored it. */
  readonly proven?: string | undefined
}

export const manifestPath = (folder: string, file: string): string => path.join(folder, manifestFolder, manifestName(file))

/** undefined where there is none that can be read: a file of hive-builder's has none. */
export async function readManifest(folder: string, file: string): Promise<Manifest | undefined> {
  try {
    const read = JSON.parse(await readFile(manifestPath(folder, file), 'utf8')) as Partial<Manifest>
    return read.version === 1 && typeof read.sha256 === 'string' && typeof read.size === 'number' ? (read as Manifest) : undefined
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export const writeManifest = (folder: string, manifest: Manifest, owner: Omit<FileProperties, 'mode'>): Promise<void> =>
  writeFileAtomic(manifestPath(folder, manifest.file), `${JSON.stringify(manifest, undefined, 2)}\n`, { ...owner, mode: 0o600 })
