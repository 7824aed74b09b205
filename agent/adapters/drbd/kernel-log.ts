/** What the kernel's log tells of one DRBD resource: why a peer was refused, what a helper found. No status carries that. */
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'

export interface KernelLogOptions {
  readonly sinceSeconds: number
  readonly signal?: AbortSignal | undefined
}

/** Lines of the log that are looked at, newest first to go. */
const most = 5_000

/** Lines of the kernel's log of this boot, oldest first. */
export interface KernelLog {
  /** Those about one resource: `2026-11-22T08:19:30.174Z drbd web/0 drbd1 hive1: …`. */
  of(resource: string): readonly string[]
}

/** One look for all resources. From the journal, from the kernel's own buffer where it has none. Throws HiveError 'command-failed' where neither can be read. */
export async function readKernelLog({ sinceSeconds, signal }: KernelLogOptions): Promise<KernelLog> {
  const since = Math.floor(Date.now() / 1000 - sinceSeconds)
  const options = { readOnly: true, timeout: 15_000, ...(signal === undefined ? {} : { signal }) }
  const journal = await run(['journalctl', '-k', '-o', 'short-unix', '--no-pager', '-n', String(most), '--since', `@${since}`], options)
    .then(({ stdout }) => parseJournal(stdout))
    .catch((error: unknown) => {
      if (!(error instanceof HiveError) || error.code !== 'command-failed') throw error
      return []
    })
  const entries = journal.length > 0 ? journal : parseDmesg((await run(['dmesg', '--time-format', 'iso'], options)).stdout).slice(-most)
  return {
    of(resource) {
      const tells = lineOf(resource)
      return entries.filter(({ at, message }) => at.getTime() >= since * 1000 && tells.test(message)).map(({ at, message }) => `${at.toISOString()} ${message}`)
    },
  }
}

/** The lines about one resource alone. */
export const drbdKernelLines = async (resource: string, options: KernelLogOptions): Promise<readonly string[]> => (await readKernelLog(options)).of(resource)

interface Entry {
  readonly at: Date
  readonly message: string
}

/** `journalctl -o short-unix`: "1795335570.174306 hive0 kernel: drbd web: …". */
export const parseJournal = (text: string): Entry[] =>
  text.split('\n').flatMap((line) => {
    const found = /^(\d+\.\d+) \S+ kernel: (.*)$/.exec(line)
    return found === null ? [] : [{ at: new Date(Number(found[1]) * 1000), message: found[2] ?? '' }]
  })

/** `dmesg --time-format iso`: "2026-11-22T08:19:30,174306+00:00 drbd web: …". */
export const parseDmesg = (text: string): Entry[] =>
  text.split('\n').flatMap((line) => {
    const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3})\d*([+-]\d\d:\d\d) (.*)$/.exec(line)
    return found === null ? [] : [{ at: new Date(`${found[1]}.${found[2]}${found[3]}`), message: found[4] ?? '' }]
  })

/** "drbd web: ", "drbd web hive1: ", "drbd web/0 drbd1: ", "drbd web/0 drbd1 hive1: ". */
export const lineOf = (resource: string): RegExp => new RegExp(`^drbd ${resource.replaceAll(/[^\w-]/g, '\\$&')}(/\\d+ drbd\\d+)?( \\S+)?: `)
