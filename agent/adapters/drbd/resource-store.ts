/**
 * Resource files. /etc/drbd.d/V.res is where drbdadm, people and the kernel's helpers look; the agent's own commands and its unit take
 * /etc/drbd.d/hive/V.conf, which knows that one resource: a broken file of another one breaks every command of who reads them all.
 */
import { readdir } from 'node:fs/promises'
import { HiveError } from '../../../proto/errors.ts'
import { ensureFolder, readFileState, readText, writeFileAtomic } from '../files.ts'
import { sharedAnswer } from '../shared-answer.ts'

const folder = '/etc/drbd.d'
const ownFolder = `${folder}/hive`
/** They hold the secret. */
const privateFile = { mode: 0o600, uid: 0, gid: 0 }

export const resourceFile = (name: string): string => `${folder}/${name}.res`
/** The resource file before the last change. */
export const previousFile = (name: string): string => `${ownFolder}/${name}.res.previous`
/** For `drbdadm -c`. */
export const configFile = (name: string): string => `${ownFolder}/${name}.conf`

export const globalSection = 'global { usage-count no; }\n'
export const includeOf = (name: string): string => `include "${resourceFile(name)}";\n`
const configText = (name: string): string => `${globalSection}${includeOf(name)}`

/** Whether this host has mirrored volumes: nothing is asked of it where it has none. */
export const hasResources = (where = folder): Promise<boolean> =>
  readdir(where).then(
    (names) => names.some((name) => name.endsWith('.res')),
    () => false,
  )

/** undefined where there is none. */
export async function readResourceFile(name: string): Promise<string | undefined> {
  return (await readFileState(resourceFile(name)))?.content.toString('utf8')
}

/** Whether `drbdadm -c` finds this resource. */
export const hasConfig = async (name: string): Promise<boolean> => (await readText(configFile(name))) === configText(name)

/** Names of the resources that have a configuration of their own here. */
export async function configured(): Promise<readonly string[]> {
  const entries = await readdir(ownFolder).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? [] : Promise.reject(error)))
  return entries.filter((entry) => entry.endsWith('.conf')).map((entry) => entry.slice(0, -'.conf'.length))
}

/** Puts a text in place that was tried before (`plannedCommands`). What was there stays beside it. */
export async function writeResourceFile(name: string, text: string): Promise<void> {
  const before = await readResourceFile(name)
  await ensureFolder(ownFolder, { mode: 0o700, uid: 0, gid: 0 })
  if (before !== undefined && before !== text) await writeFileAtomic(previousFile(name), before, privateFile)
  if (before !== text) await writeFileAtomic(resourceFile(name), text, privateFile)
  if (!(await hasConfig(name))) await writeFileAtomic(configFile(name), configText(name), privateFile)
  others.forget()
}

const others = sharedAnswer(async () => {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? [] : Promise.reject(error)))
  const files = entries.filter((entry) => entry.endsWith('.res'))
  return Promise.all(files.map(async (file) => ({ file, ...claims(await readText(`${folder}/${file}`)) })))
})

/** What a resource file takes for itself. Comments do not count. Pure. */
export function claims(text: string): { readonly minors: ReadonlySet<number>; readonly ports: ReadonlySet<number> } {
  const code = text.replaceAll(/#.*$/gm, '')
  const numbers = (pattern: RegExp): Set<number> => new Set([...code.matchAll(pattern)].map(([, number]) => Number(number)))
  return { minors: numbers(/\bminor\s+(\d+)/g), ports: numbers(/\baddress\s+[^;{]*:(\d+)\s*[;{]/g) }
}

/** Throws HiveError 'conflict' where another resource file of this host has this minor or port. */
export async function assertUnclaimed(name: string, minor: number, port: number, signal?: AbortSignal): Promise<void> {
  for (const other of await others.get(signal)) {
    if (other.file === `${name}.res`) continue
    const what = other.minors.has(minor) ? `device minor ${minor}` : other.ports.has(port) ? `port ${port}` : undefined
    if (what !== undefined)
      throw new HiveError('conflict', `${folder}/${other.file} has ${what} already`, {
        hint: 'two resources cannot share it: remove the file if its resource is not used any more, or give the volume another id',
      })
  }
}
