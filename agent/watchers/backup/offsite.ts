/** Copies elsewhere, made by restic: its program, its format; only told what, where and with which secrets. */
import { hostname } from 'node:os'
import type { BackupOffsite } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../../proto/errors.ts'
import { isMissingProgram, run } from '../../adapters/command.ts'

const copyTime = 12 * 3600_000
const lookTime = 300_000
const kept = ['last', 'daily', 'weekly', 'monthly', 'yearly'] as const

export interface OffsiteOptions {
  readonly folder: string
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
  /** For tests. */
  readonly program?: string
  readonly cache?: string
}

/** Secrets go by the environment: a command line is seen by everybody on the host. */
const environmentOf = ({ repository, password, environment }: BackupOffsite, cache: string): Readonly<Record<string, string>> => ({
  ...environment,
  RESTIC_REPOSITORY: repository,
  RESTIC_PASSWORD: password,
  RESTIC_CACHE_DIR: cache,
})

/** Makes the repository where there is none yet. Throws HiveError. */
export const copyOffsite = (offsite: BackupOffsite, options: OffsiteOptions): Promise<void> =>
  withRestic(offsite, options, async (restic) => {
    const { folder, onLine } = options
    if (!(await isThere(restic))) {
      await restic(['init'], lookTime)
      onLine('made a repository for copies')
    }
    const made = await restic(['backup', '--host', hostname(), '--tag', 'hive', '--exclude', '.backup-*.part', folder], copyTime)
    for (const line of lastOf(made.stdout).slice(-1)) onLine(line)
    const keep = kept.flatMap((unit) => (offsite.keep[unit] === undefined ? [] : [`--keep-${unit}`, String(offsite.keep[unit])]))
    if (keep.length > 0) await restic(['forget', '--host', hostname(), '--tag', 'hive', '--group-by', 'host,tags', '--prune', ...keep], copyTime)
  })

/**
 * Brings the newest copy that this host made of the folder back into it. Answers false where there is none. Throws HiveError; then some files
 * may be there already, and the next call brings the others.
 */
export const fetchOffsite = (offsite: BackupOffsite, options: OffsiteOptions): Promise<boolean> =>
  withRestic(offsite, options, async (restic) => {
    if (!(await isThere(restic))) return false
    const mine = ['--host', hostname(), '--tag', 'hive', '--path', options.folder]
    const { stdout } = await restic(['snapshots', '--json', '--no-lock', ...mine], lookTime)
    if ((JSON.parse(stdout) as readonly unknown[] | null)?.length === 0 || stdout.trim() === 'null') return false
    const brought = await restic(['restore', 'latest', '--no-lock', '--target', '/', ...mine], copyTime)
    for (const line of lastOf(brought.stdout).slice(-1)) options.onLine(line)
    return true
  })

type Restic = (
  argv: readonly string[],
  timeout: number,
  okCodes?: readonly number[],
) => Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>

/** Only where restic says that there is none: a place that does not answer, or another password, is no reason to make one. */
async function isThere(restic: Restic): Promise<boolean> {
  const found = await restic(['cat', 'config', '--no-lock', '--quiet'], lookTime, [0, 1, 10])
  if (found.code === 0) return true
  if (isAbsent(found.stderr)) return false
  throw new HiveError('command-failed', 'restic can’t open the repository of copies', { log: lastOf(found.stderr) })
}

async function withRestic<T>(
  offsite: BackupOffsite,
  { signal, program = 'restic', cache = '/var/cache/hive-agent/restic' }: OffsiteOptions,
  work: (restic: Restic) => Promise<T>,
): Promise<T> {
  const env = environmentOf(offsite, cache)
  try {
    return await work((argv, timeout, okCodes = [0]) => run([program, ...argv], { env, signal, timeout, okCodes }))
  } catch (error) {
    if (error instanceof HiveError && error.log.length > 0) throw withoutSecrets(error, offsite)
    if (isMissingProgram(error)) throw new HiveError('not-found', 'restic is not on this host', { hint: 'hivecoord setup-hosts installs it', cause: error })
    throw error
  }
}

/** An address may hold a password, and programs repeat what they were told. */
function withoutSecrets(error: HiveError, { repository, password, environment }: BackupOffsite): HiveError {
  const secrets = [repository, password, ...Object.values(environment)].filter((secret) => secret.length > 3)
  const masked = (text: string): string => secrets.reduce((line, secret) => line.replaceAll(secret, '***'), text)
  return new HiveError(error.code, masked(error.message), { hint: error.hint, log: error.log.map(masked) })
}

export const isAbsent = (stderr: string): boolean =>
  /repository does not exist|Is there a repository at the following location|unable to open config file/i.test(stderr) && !/wrong password/i.test(stderr)

const lastOf = (text: string): readonly string[] => text.trimEnd().split('\n').slice(-5)
