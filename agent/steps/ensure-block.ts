import type { EnsureBlock } from '#gen/hive/v1/steps_host.ts'
import { editBlock } from '../adapters/block.ts'
import { run } from '../adapters/command.ts'
import { readFileState, rootFile, writeFileValidated } from '../adapters/files.ts'
import { lineDiff } from '../adapters/line-diff.ts'
import { concerns } from '../adapters/os.ts'
import { change, type Executor, ok } from './executor.ts'

/** Lines of others, the blocks of Ansible's blockinfile among them, stay as they are. */
export const ensureBlock: Executor<EnsureBlock> = {
  exclusive: (spec) => `file:${spec.path}`,

  async check(spec) {
    if (!(await concerns(spec.system))) return ok
    const { before, after, changed } = await edited(spec)
    if (!changed) return ok
    return change(`${spec.path} has not the block "${spec.marker}" as wanted`, '', `${spec.path}:\n${lineDiff(before, after)}`)
  },

  async apply(spec, context) {
    if (!(await concerns(spec.system))) return
    const { changed, bytes, state } = await edited(spec)
    if (!changed) return
    await writeFileValidated(spec.path, bytes, state ?? rootFile, async (temporary) => {
      const [tool, ...rest] = spec.validate.map((word) => word.replaceAll('%s', temporary))
      if (tool !== undefined) await run([tool, ...rest], { signal: context.signal })
    })
  },
}

async function edited(spec: EnsureBlock) {
  const state = await readFileState(spec.path)
  // latin1 keeps bytes that are no UTF-8 as they are.
  const before = state?.content.toString('latin1') ?? ''
  const content = Buffer.from(spec.content, 'utf8').toString('latin1')
  const commentOut = spec.commentOut.map((pattern) => new RegExp(pattern))
  const after = editBlock(before, { marker: spec.marker, content, atTop: spec.atTop, commentOut })
  const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8')
  return { state, changed: before !== after, before: text(before), after: text(after), bytes: Buffer.from(after, 'latin1') }
}
