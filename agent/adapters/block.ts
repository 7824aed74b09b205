/** A block of lines between two markers in a text that others write too. Pure. */

export interface BlockEdit {
  readonly marker: string
  /** Without markers; '' takes the block away. */
  readonly content: string
  readonly atTop: boolean
  /** Lines outside the block that match one of these get a # in front. */
  readonly commentOut: readonly RegExp[]
}

export const beginLine = (marker: string): string => `# BEGIN hive ${marker}`
export const endLine = (marker: string): string => `# END hive ${marker}`

/**
 * The text with the block in it, once and with this content; a block that is there keeps its place. Of a block whose end
 * marker was lost only the begin line goes: what follows could be others' lines.
 */
export function editBlock(text: string, edit: BlockEdit): string {
  const { lines, at } = withoutBlock(splitLines(text), edit.marker)
  const others = lines.map((line) => (edit.commentOut.some((pattern) => pattern.test(line)) ? `# ${line}` : line))
  if (edit.content === '') return joinLines(others)
  const block = [beginLine(edit.marker), ...splitLines(edit.content), endLine(edit.marker)]
  const place = at ?? (edit.atTop ? 0 : others.length)
  return joinLines([...others.slice(0, place), ...block, ...others.slice(place)])
}

/** The lines outside the block, and the place where its first occurrence was. */
function withoutBlock(lines: readonly string[], marker: string): { lines: string[]; at: number | undefined } {
  const kept: string[] = []
  let at: number | undefined
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? ''
    if (line.trimEnd() === beginLine(marker)) {
      at ??= kept.length
      const end = lines.findIndex((other, index) => index > i && other.trimEnd() === endLine(marker))
      const next = lines.findIndex((other, index) => index > i && other.trimEnd() === beginLine(marker))
      if (end !== -1 && (next === -1 || end < next)) i = end
    } else if (line.trimEnd() !== endLine(marker)) kept.push(line)
  }
  return { lines: kept, at }
}

function splitLines(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

const joinLines = (lines: readonly string[]): string => (lines.length === 0 ? '' : `${lines.join('\n')}\n`)
