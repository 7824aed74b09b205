/** systemd units: what they are, and whether they run with the files they were configured by. */
import { createHash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { HiveError } from '../../proto/errors.ts'
import { run } from './command.ts'
import { readFileState, readText, rootFile, writeFileAtomic } from './files.ts'
import { gathered } from './gathered.ts'
import { stateFolder } from './state-folder.ts'

export interface UnitStatus {
  readonly name: string
  /** loaded, not-found, masked, error … */
  readonly load: string
  /** active, inactive, failed, activating, deactivating, reloading */
  readonly active: string
  /** enabled, disabled, static, alias, generated … or '' */
  readonly file: string
  /** Unit files on disk are newer than what systemd has read. */
  readonly needsDaemonReload: boolean
  /** When it became active, in microseconds of the machine's monotonic clock; 0: never. */
  readonly activeSince: number
}

const properties = ['Id', 'LoadState', 'ActiveState', 'UnitFileState', 'NeedDaemonReload', 'ActiveEnterTimestampMonotonic'] as const

/** Output of `systemctl show UNIT` with the properties above. */
export function parseUnitStatus(output: string): UnitStatus {
  const values = new Map<string, string>()
  for (const line of output.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1))
  }
  return {
    name: values.get('Id') ?? '',
    load: values.get('LoadState') ?? '',
    active: values.get('ActiveState') ?? '',
    file: values.get('UnitFileState') ?? '',
    needsDaemonReload: values.get('NeedDaemonReload') === 'yes',
    activeSince: Number(values.get('ActiveEnterTimestampMonotonic') ?? 0),
  }
}

/** Output of `systemctl show` for several units: their properties in the order in which they were named, with an empty line between them. */
export function parseUnitStatuses(names: readonly string[], output: string): readonly UnitStatus[] {
  const blocks = output.trim().split(/\n\n+/)
  if (blocks.length !== names.length) throw new HiveError('command-failed', `systemctl tells of ${blocks.length} units, asked for ${names.join(', ')}`)
  return blocks.map(parseUnitStatus)
}

/** The status of a unit; one that the host does not have answers load not-found. */
export const unitStatus = gathered(async (names: readonly string[]) => {
  const { stdout } = await run(['systemctl', 'show', `--property=${properties.join(',')}`, '--', ...names], { readOnly: true, timeout: 30_000 })
  return parseUnitStatuses(names, stdout)
})

/** The first of these names that the host has; else the status of the first. */
export async function firstUnit(names: readonly [string, ...string[]]): Promise<UnitStatus> {
  const statuses = await Promise.all(names.map(unitStatus))
  const found = statuses.find((status) => status.load !== 'not-found') ?? statuses[0]
  if (found === undefined) throw new RangeError('no unit name given')
  return found
}

export type UnitVerb = 'start' | 'stop' | 'restart' | 'reload-or-restart' | 'enable' | 'disable'

/** One systemctl verb on one unit; waits until systemd's job has ended. */
export async function systemctl(verb: UnitVerb, name: string, signal: AbortSignal): Promise<void> {
  await run(['systemctl', verb, name], { signal, timeout: 300_000 })
}

/**
 * Lets the next boot start it. systemd itself is not told to read its units again, which takes it a second or more on a busy host and is
 * asked for by `systemctl enable` each time: a unit that it already knows, or reads when it is started, needs none.
 */
export async function enableForNextBoot(name: string, signal: AbortSignal): Promise<void> {
  await run(['systemctl', 'enable', '--no-reload', name], { signal, timeout: 60_000 })
}

export async function daemonReload(signal: AbortSignal): Promise<void> {
  await run(['systemctl', 'daemon-reload'], { signal, timeout: 120_000 })
}

/** Puts a unit that failed too often back to where it can be started. */
export async function resetFailed(name: string, signal: AbortSignal): Promise<void> {
  await run(['systemctl', 'reset-failed', name], { signal, okCodes: [0, 1] })
}

/** What a unit was known to run with: noted after each restart or reload of ours, void once it became active again by itself. */
export interface LoadedFiles {
  readonly bootId: string
  readonly activeSince: number
  /** Path → SHA-256 of the content. */
  readonly files: Readonly<Record<string, string>>
}

export interface WatchedFile {
  readonly path: string
  readonly sha256: string
  /** Wall clock, milliseconds. */
  readonly mtimeMs: number
}

/**
 * Which of the watched files the unit has not read yet. A file that was noted with this content for this activation is
 * read; else the file's time decides against the time the unit became active. The note makes this safe where the clock
 * was set back after the file was written.
 */
export function unreadFiles(
  watched: readonly WatchedFile[],
  missing: readonly string[],
  unit: { readonly activeSince: number; readonly activeSinceWallMs: number; readonly bootId: string },
  noted: LoadedFiles | undefined,
): string[] {
  const valid = noted !== undefined && noted.bootId === unit.bootId && noted.activeSince === unit.activeSince ? noted.files : undefined
  const unread = watched.filter((file) => {
    const before = valid?.[file.path]
    return before === undefined ? file.mtimeMs > unit.activeSinceWallMs : before !== file.sha256
  })
  return [...unread.map((file) => file.path), ...missing.filter((path) => valid?.[path] !== undefined)]
}

const notePath = (unit: string): string => `${stateFolder()}/reloads/${unit.replaceAll('/', '_')}`

/** Files of `paths` that the active unit has not read. Paths that are no regular files are passed over. */
export async function unreadBy(unit: UnitStatus, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0 || unit.active !== 'active') return []
  const { watched, missing } = await look(paths)
  const activeSinceWallMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n) + unit.activeSince / 1000
  return unreadFiles(watched, missing, { activeSince: unit.activeSince, activeSinceWallMs, bootId: await bootId() }, await readNote(unit.name))
}

/** Notes that the unit, as it is now active, has read these files as `seen` before the restart or reload. */
export async function noteRead(unit: UnitStatus, seen: readonly WatchedFile[]): Promise<void> {
  const note: LoadedFiles = { bootId: await bootId(), activeSince: unit.activeSince, files: Object.fromEntries(seen.map((file) => [file.path, file.sha256])) }
  await writeFileAtomic(notePath(unit.name), `${JSON.stringify(note)}\n`, rootFile)
}

/** The watched files as they are now. Taken before a restart, so that a change during it is not taken as read. */
export async function look(paths: readonly string[]): Promise<{ watched: WatchedFile[]; missing: string[] }> {
  const watched: WatchedFile[] = []
  const missing: string[] = []
  for (const path of paths) {
    const state = await readFileState(path)
    if (state === undefined) missing.push(path)
    else watched.push({ path, sha256: createHash('sha256').update(state.content).digest('hex'), mtimeMs: state.mtimeMs })
  }
  return { watched, missing }
}

async function readNote(unit: string): Promise<LoadedFiles | undefined> {
  try {
    const value: unknown = JSON.parse(await readText(notePath(unit)))
    if (typeof value !== 'object' || value === null || !('files' in value) || typeof value.files !== 'object') return undefined
    return value as LoadedFiles
  } catch {
    // A note that can't be read is none: the files' times decide.
    return undefined
  }
}

/** Of the kernel; another one after each start of the host. */
export const bootId = async (): Promise<string> => (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
