/** What is told while something is done with backups. */
import { type BackupEvent, BackupEvent_Kind as Kind } from '#gen/hive/v1/backup.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'

export type Tell = (event: BackupEvent) => void

/** Milliseconds between two reports of progress. */
const progressEvery = 1000
/** Characters of a reason that are kept. */
const longestReason = 500

export async function* progressing(source: AsyncIterable<Uint8Array>, onProgress: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    onProgress(bytes)
    yield chunk
  }
}

export function progress(tell: Tell, name: string, total: number, now: () => Date): (bytes: number) => void {
  let last = now().getTime()
  return (bytes) => {
    const at = now().getTime()
    if (at - last < progressEvery) return
    last = at
    tell(event(Kind.PROGRESS, name, '', { size: BigInt(bytes), total: BigInt(total) }))
  }
}

export function event(
  kind: Kind,
  name: string,
  text: string,
  more: { readonly file?: string; readonly size?: bigint; readonly total?: bigint; readonly sha256?: string } = {},
): BackupEvent {
  return { kind, name, text, file: more.file ?? '', size: more.size ?? 0n, total: more.total ?? 0n, sha256: more.sha256 ?? '' }
}

/** With the last line of whatever failed, which mostly says why. */
export function reasonOf(error: unknown): string {
  const last = error instanceof HiveError ? error.log.at(-1) : undefined
  return (last === undefined || last.trim() === '' ? messageOf(error) : `${messageOf(error)}: ${last.trim()}`).slice(0, longestReason)
}
