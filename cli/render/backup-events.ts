/** What the repository server tells of a backup, a restore or a drill while it works: lines that stay, and how far it is. */
import { createLogUpdate } from 'log-update'
import pc from 'picocolors'
import { type BackupEvent, BackupEvent_Kind as Kind } from '#gen/hive/v1/backup.ts'
import type { GlobalOptions } from '../app.ts'

/** 1 234 567 → "1.2 MB". */
export function bytes(size: bigint | number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = Number(size)
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** The line that stays of an event; undefined: none. */
export function backupLine({ kind, name, text, file, size }: BackupEvent, verbose: boolean): string | undefined {
  switch (kind) {
    case Kind.STARTED:
      return verbose ? pc.dim(`  ${name}  ${text} …`) : undefined
    case Kind.LINE:
      return verbose ? pc.dim(`  ${name}  | ${text}`) : undefined
    case Kind.WARNING:
      return pc.yellow(`! ${name}  ${text}`)
    case Kind.REMOVED:
      return pc.dim(`- ${name}  ${text}`)
    case Kind.DONE: {
      const of = file === '' || text.includes(file) ? '' : ` ${file}`
      return `${pc.green('+')} ${name}  ${text}${pc.dim(`${of}${size === 0n ? '' : ` ${bytes(size)}`}`)}`
    }
    case Kind.FAILED:
      return pc.red(`x ${name}  ${file === '' || text.includes(file) ? '' : `${file}: `}${text}`)
    default:
      return undefined
  }
}

export function progressLine({ name, size, total }: BackupEvent): string {
  const share = total > 0n ? ` of ${bytes(total)}, ${Math.min(100, Math.round((Number(size) / Number(total)) * 100))} %` : ''
  return pc.dim(`  ${name}  ${bytes(size)}${share}`)
}

/** Shows events as they come; answers those that say how something ended. */
export async function showBackupEvents(
  events: AsyncIterable<BackupEvent>,
  options: Pick<GlobalOptions, 'output' | 'verbose'>,
): Promise<readonly BackupEvent[]> {
  const ends: BackupEvent[] = []
  const live = options.output === 'text' && process.stderr.isTTY === true ? createLogUpdate(process.stderr) : undefined
  try {
    for await (const event of events) {
      if (event.kind === Kind.DONE || event.kind === Kind.FAILED) ends.push(event)
      if (options.output === 'json') {
        process.stderr.write(`${JSON.stringify(eventJson(event))}\n`)
        continue
      }
      if (event.kind === Kind.PROGRESS || event.kind === Kind.STARTED)
        live?.(event.kind === Kind.PROGRESS ? progressLine(event) : pc.dim(`  ${event.name}  ${event.text}`))
      const line = backupLine(event, options.verbose)
      if (line === undefined) continue
      live?.clear()
      process.stderr.write(`${line}\n`)
    }
  } finally {
    live?.clear()
  }
  return ends
}

const words: Readonly<Record<Kind, string>> = {
  [Kind.UNSPECIFIED]: 'unknown',
  [Kind.STARTED]: 'started',
  [Kind.PROGRESS]: 'progress',
  [Kind.LINE]: 'line',
  [Kind.WARNING]: 'warning',
  [Kind.REMOVED]: 'removed',
  [Kind.DONE]: 'done',
  [Kind.FAILED]: 'failed',
}

export const eventJson = ({ kind, size, total, ...rest }: BackupEvent) => ({ code: `backup.${words[kind]}`, ...rest, size: Number(size), total: Number(total) })
