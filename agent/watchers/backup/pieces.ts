/** A dump as it is stored, from what its maker sends; what is said on the way is told. */
import { type DumpOutput, BackupEvent_Kind as Kind } from '#gen/hive/v1/backup.ts'
import { HiveError } from '../../../proto/errors.ts'
import { event, type Tell } from './events.ts'
import type { DumpPiece } from './store.ts'

export async function* toPieces(outputs: AsyncIterable<DumpOutput>, name: string, tell: Tell): AsyncGenerator<DumpPiece> {
  for await (const { output } of outputs) {
    switch (output?.$case) {
      case 'chunk':
        yield { chunk: output.value }
        break
      case 'line':
        tell(event(Kind.LINE, name, output.value))
        break
      case 'warning':
        tell(event(Kind.WARNING, name, output.value))
        yield { warning: output.value }
        break
      case 'complete':
        yield { complete: output.value }
        break
      case undefined:
        break
    }
  }
}

export async function withoutFile(pieces: AsyncIterable<DumpPiece>, name: string): Promise<readonly string[]> {
  const warnings: string[] = []
  let complete = false
  for await (const piece of pieces) {
    if ('warning' in piece) warnings.push(piece.warning)
    if ('complete' in piece) complete = true
  }
  if (!complete) throw new HiveError('command-failed', `${name}: the batch scripts broke off`)
  return warnings
}
