/** A short unified diff of two texts, for plans. */

const contextLines = 2
/** Beyond this many lines on a side the exact comparison is too dear for a plan. */
const exactLimit = 1_500

interface Edit {
  readonly sign: ' ' | '-' | '+'
  readonly line: string
}

/** The lines that go and come, with two lines around them; at most `maxLines` lines, the last of which then says how many are left out. */
export function lineDiff(before: string, after: string, maxLines = 20): string {
  const lines = hunks(edits(split(before), split(after)))
  if (lines.length <= maxLines) return lines.join('\n')
  return [...lines.slice(0, maxLines - 1), `… ${lines.length - maxLines + 1} more lines`].join('\n')
}

function split(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function edits(before: readonly string[], after: readonly string[]): Edit[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  const same = (lines: readonly string[]): Edit[] => lines.map((line) => ({ sign: ' ', line }))
  const middle = middleEdits(before.slice(start, before.length - end), after.slice(start, after.length - end))
  return [...same(before.slice(0, start)), ...middle, ...same(before.slice(before.length - end))]
}

/** Longest common subsequence by the textbook table. */
function middleEdits(before: readonly string[], after: readonly string[]): Edit[] {
  const gone = (lines: readonly string[]): Edit[] => lines.map((line) => ({ sign: '-', line }))
  const come = (lines: readonly string[]): Edit[] => lines.map((line) => ({ sign: '+', line }))
  if (before.length > exactLimit || after.length > exactLimit || before.length === 0 || after.length === 0) return [...gone(before), ...come(after)]
  const width = after.length + 1
  const lengths = new Uint16Array((before.length + 1) * width)
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        before[i] === after[j] ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0)
  const result: Edit[] = []
  let i = 0
  let j = 0
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      result.push({ sign: ' ', line: before[i] ?? '' })
      i++
      j++
    } else if ((lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0)) {
      result.push({ sign: '-', line: before[i] ?? '' })
      i++
    } else {
      result.push({ sign: '+', line: after[j] ?? '' })
      j++
    }
  }
  return [...result, ...gone(before.slice(i)), ...come(after.slice(j))]
}

function hunks(all: readonly Edit[]): string[] {
  const shown = new Set<number>()
  all.forEach((edit, index) => {
    if (edit.sign !== ' ') for (let k = index - contextLines; k <= index + contextLines; k++) shown.add(k)
  })
  const lines: string[] = []
  let last = -1
  for (const [index, edit] of all.entries()) {
    if (!shown.has(index)) continue
    if (last !== -1 && index > last + 1) lines.push('@@')
    lines.push(`${edit.sign}${edit.line}`)
    last = index
  }
  return lines
}
