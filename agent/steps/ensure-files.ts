import type { EnsureFiles, File } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { type FileState, ownerIds, readFileState, removeFile, setProperties, writeFileAtomic } from '../adapters/files.ts'
import { lineDiff } from '../adapters/line-diff.ts'
import { concerns } from '../adapters/os.ts'
import { change, type Executor, ok } from './executor.ts'

interface Difference {
  readonly file: File
  readonly reason: string
  readonly shown: string
  /** Only owner or mode differ: the content stays untouched, and with it the file's time. */
  readonly propertiesOnly: boolean
}

export const ensureFiles: Executor<EnsureFiles> = {
  exclusive: (spec) => (spec.files[0] === undefined ? undefined : `file:${spec.files[0].path}`),

  async check(spec) {
    const differences = await compare(spec)
    if (differences.length === 0) return ok
    return change(differences.map((difference) => difference.reason).join('; '), '', differences.map((difference) => difference.shown).join('\n'))
  },

  async apply(spec) {
    for (const { file, propertiesOnly } of await compare(spec)) {
      if (file.absent) {
        await removeFile(file.path)
        continue
      }
      const ids = await ownerIds(file.owner, file.group)
      if (ids === undefined) throw new HiveError('not-found', `${file.path}: this host has no user ${file.owner || 'root'} or no group ${file.group || 'root'}`)
      const properties = { mode: modeOf(file), ...ids }
      if (propertiesOnly) await setProperties(file.path, properties)
      else await writeFileAtomic(file.path, file.content, properties)
    }
  },
}

async function compare(spec: EnsureFiles): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const file of spec.files) {
    if (!(await concerns(file.system))) continue
    const difference = await compareFile(file)
    if (difference !== undefined) differences.push(difference)
  }
  return differences
}

async function compareFile(file: File): Promise<Difference | undefined> {
  const state = await readFileState(file.path)
  const differs = (reason: string, shown: string, propertiesOnly = false): Difference => ({ file, reason, shown, propertiesOnly })
  if (file.absent) return state === undefined ? undefined : differs(`${file.path} must not be there`, `remove ${file.path}`)
  if (state === undefined || !state.content.equals(file.content)) {
    const reason = state === undefined ? `${file.path} is not there` : `${file.path} has other content`
    return differs(reason, contentDiff(file, state))
  }
  const ids = await ownerIds(file.owner, file.group)
  const before = `${state.uid}:${state.gid} ${octal(state.mode)}`
  const after = ids === undefined ? `${file.owner || 'root'}:${file.group || 'root'} ${octal(modeOf(file))}` : `${ids.uid}:${ids.gid} ${octal(modeOf(file))}`
  return before === after ? undefined : differs(`${file.path} has another owner or mode`, `${file.path}: ${before} → ${after}`, true)
}

function contentDiff(file: File, state: FileState | undefined): string {
  if (file.secret) return `${file.path}: content differs (secret)`
  const old = state?.content ?? Buffer.alloc(0)
  if (old.includes(0) || file.content.includes(0)) return `${file.path}: ${old.length} → ${file.content.length} bytes`
  return `${file.path}:\n${lineDiff(old.toString('utf8'), file.content.toString('utf8'))}`
}

const modeOf = (file: File): number => (file.mode === 0 ? 0o644 : file.mode)
const octal = (mode: number): string => mode.toString(8).padStart(4, '0')
