/** Files of a folder tree in one order, for archives and hashes that are the same on every machine. */
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface TreeFile {
  /** Relative, with forward slashes. */
  readonly path: string
  readonly executable: boolean
  readonly content: Buffer
  /** Target of a symbolic link; then there is no content. */
  readonly link: string | undefined
}

/** Left behind by editors, Python and version control; never part of what a role does. */
const ignored = new Set(['.git', '__pycache__', '.DS_Store', '.gitkeep', '.pytest_cache'])
const ignoredName = (name: string): boolean => ignored.has(name) || name.endsWith('.pyc') || name.endsWith('~') || name.endsWith('.swp')

/** All files under `folder`, sorted by path, each path prefixed; none where there is no such folder. */
export async function treeFiles(folder: string, prefix = ''): Promise<TreeFile[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
  const found: TreeFile[] = []
  for (const name of names.filter((candidate) => !ignoredName(candidate)).sort()) {
    const path = join(folder, name)
    const as = prefix === '' ? name : `${prefix}/${name}`
    const seen = await lstat(path)
    if (seen.isDirectory()) found.push(...(await treeFiles(path, as)))
    else if (seen.isSymbolicLink()) found.push({ path: as, executable: false, content: Buffer.alloc(0), link: await readlink(path) })
    else if (seen.isFile()) found.push({ path: as, executable: (seen.mode & 0o100) !== 0, content: await readFile(path), link: undefined })
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}
