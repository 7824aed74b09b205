/** One dump, from where the data is: what comes out, what was said meanwhile, and at the end how each stage ended. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createGzip } from 'node:zlib'
import type { DumpOutput, DumpStage } from '#gen/hive/v1/backup.ts'
import type { BackupScript } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../../proto/errors.ts'
import { onlyRemarks, packDirectory, readFile, shellCommand } from './commands.ts'
import { codeOf, type Place } from './place.ts'

/** Last lines of a failed stage that its error tells. */
const toldLines = 15

/** What the dump of a script is made by; commands themselves are never told: they may hold passwords. */
export async function* dumpOutputs(script: BackupScript, place: Place, signal: AbortSignal): AsyncGenerator<DumpOutput> {
  const said: DumpOutput[] = []
  const hash = createHash('sha256')
  let size = 0
  const stages: DumpStage[] = []
  const context: StageContext = { script, place, signal, stages, said }
  for await (const chunk of stagesOf(context)) {
    yield* said.splice(0)
    hash.update(chunk)
    size += chunk.length
    yield { output: { $case: 'chunk', value: chunk } }
  }
  yield* said.splice(0)
  yield { output: { $case: 'complete', value: { size: BigInt(size), sha256: hash.digest('hex'), stages } } }
}

interface StageContext {
  readonly script: BackupScript
  readonly place: Place
  readonly signal: AbortSignal
  readonly stages: DumpStage[]
  readonly said: DumpOutput[]
}

async function* stagesOf(context: StageContext): AsyncGenerator<Buffer> {
  const { script, stages, said } = context
  for (const [index, command] of script.batchScripts.entries()) {
    const name = `batch script ${index + 1}`
    const end = await ran(context, name, shellCommand(command))
    stages.push({ name, exitCode: end.code })
    if (end.code !== 0) said.push({ output: { $case: 'warning', value: `${name} ended with exit code ${end.code}: ${end.lines.at(-1) ?? 'it said nothing'}` } })
    // Said before the next command runs.
    yield Buffer.alloc(0)
  }
  if (script.directory !== '') {
    yield* asStage(context, 'tar', packDirectory(script.directory), gzipped)
    stages.push({ name: 'gzip', exitCode: 0 })
  } else if (script.backupCommand !== '' && script.backupFile !== '') {
    const end = await ran(context, 'backup_command', shellCommand(script.backupCommand))
    conclude(context, 'backup_command', end.code, end.lines)
    yield* asStage(context, 'reading backup_file', readFile(script.backupFile))
  } else if (script.backupCommand !== '') yield* asStage(context, 'backup_command', shellCommand(script.backupCommand), script.packed ? gzipped : asItIs)
}

/** A stage without data. */
async function ran(
  { place, signal, said }: StageContext,
  name: string,
  argv: readonly string[],
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = []
  const onLine = (line: string): void => {
    keep(lines, line)
    said.push({ output: { $case: 'line', value: `${name}: ${line}` } })
  }
  return { code: await codeOf(place.run(argv, { signal, onLine })), lines }
}

type Filter = (source: AsyncGenerator<Buffer, number>) => AsyncGenerator<Buffer, number>
const asItIs: Filter = (source) => source

async function* asStage(context: StageContext, name: string, argv: readonly string[], filter: Filter = asItIs): AsyncGenerator<Buffer> {
  const { place, signal, said } = context
  const lines: string[] = []
  const onLine = (line: string): void => {
    keep(lines, line)
    said.push({ output: { $case: 'line', value: `${name}: ${line}` } })
  }
  const code = yield* filter(place.run(argv, { signal, onLine }))
  conclude(context, name, code, lines)
}

/** Throws where the stage has failed. */
function conclude({ script, place, stages, said }: StageContext, name: string, code: number, lines: readonly string[]): void {
  stages.push({ name, exitCode: code })
  if (code === 0) return
  if (name === 'tar' && onlyRemarks(code, lines)) {
    said.push({ output: { $case: 'warning', value: `files changed while they were packed: ${lines[0] ?? ''}` } })
    return
  }
  throw new HiveError('command-failed', `${script.name}: ${name} ended with exit code ${code} in ${place.what}`, { log: lines.slice(-toldLines) })
}

function keep(lines: string[], line: string): void {
  lines.push(line)
  // All lines of a tar must be remarks for it to have packed all: the first others decide, wherever they come.
  if (lines.length > 1000) lines.splice(500, 1)
}

/** The source's exit code stays its own: a source that fails is no short archive. */
export async function* gzipped(source: AsyncGenerator<Buffer, number>): AsyncGenerator<Buffer, number> {
  const gzip = createGzip()
  let code = -1
  let failure: unknown
  const feeding = (async () => {
    for (;;) {
      const next = await source.next()
      if (next.done === true) {
        code = next.value
        break
      }
      if (gzip.destroyed) return
      if (!gzip.write(next.value)) await Promise.race([once(gzip, 'drain'), once(gzip, 'close')])
    }
    gzip.end()
  })().catch((error: unknown) => {
    failure = error
    gzip.destroy()
  })
  try {
    for await (const chunk of gzip) yield chunk as Buffer
  } catch (error) {
    // A gzip that was destroyed ends early; why is told by what destroyed it.
    failure ??= error
  } finally {
    gzip.destroy()
    if (failure !== undefined || code === -1) await source.return(-1).catch(() => undefined)
  }
  await feeding
  if (failure !== undefined) throw failure
  return code
}
