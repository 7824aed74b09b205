/** Python in a folder of unpacked packages. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'

export const interpreterOf = (root: string): string => join(root, 'usr/bin/python3.11')

/** What it needs in its environment to take the folder for its own, wherever that is. */
export function pythonEnvironment(root: string): Readonly<Record<string, string>> {
  const libraries = ['usr/lib', 'lib'].flatMap((lib) =>
    readdirSync(join(root, lib))
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => join(root, lib, name)),
  )
  return {
    PATH: '/usr/bin:/bin',
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    LD_LIBRARY_PATH: libraries.join(':'),
    PYTHONHOME: join(root, 'usr'),
    PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
    // The folder may belong to someone else, and stays as it was made.
    PYTHONDONTWRITEBYTECODE: '1',
  }
}

/** For `finish`: compiles the modules, which their packages do when they are installed. Else each start does it, which takes ten times as long. */
export const compiled = {
  version: 1,
  work: async (root: string, signal: AbortSignal): Promise<void> => {
    const folders = ['usr/lib/python3', 'usr/lib/python3.11'].map((folder) => join(root, folder))
    const argv = ['-s', '-m', 'compileall', '-q', '-j', '0', '--invalidation-mode', 'unchecked-hash', ...folders]
    // 1: some are for other versions of Python.
    await run([interpreterOf(root), ...argv], { env: pythonEnvironment(root), okCodes: [0, 1], timeout: 600_000, signal })
  },
}
