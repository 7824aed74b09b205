/** The recordings of real DRBD hosts as data: what was typed where and when, what it answered, and what was seen in between. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TypedStep {
  kind: 'typed'
  /** seconds since the start of the state. */
  at: number
  host: string
  ran: number
  exit: number
  command: string
  stdout: string
  stderr: string
}

export type Step =
  | TypedStep
  /** every host's views were written down, into a folder HOST/[into]. */
  | { kind: 'recorded'; at: number; took: number; hosts: string[]; into: string }
  /** something happened outside of the machines. */
  | { kind: 'outside'; at: number; text: string }

/** The steps of one state's README.md, in the order of their start. */
export function readSteps(folder: string): Step[] {
  const lines = readFileSync(join(folder, 'README.md'), 'utf8').split('\n')
  const steps: Step[] = []
  for (let index = 0; index < lines.length; index++) {
    const head = /^- t=([\d.]+)s (.*)$/.exec(lines[index] as string)
    if (head === null) continue
    const at = Number(head[1])
    const text = head[2] as string
    const recorded = /^recorded on ([^(]*?)(?: into subfolder (\S+))? \(took ([\d.]+)s/.exec(text)
    const typed = /^(s-hive\d): ran ([\d.]+)s, exit (\d+)/.exec(text)
    const outside = /^host side: (.*)$/.exec(text)
    if (recorded !== null) {
      steps.push({ kind: 'recorded', at, took: Number(recorded[3]), hosts: (recorded[1] as string).split(', '), into: recorded[2] ?? '' })
    } else if (outside !== null) steps.push({ kind: 'outside', at, text: outside[1] as string })
    else if (typed !== null) {
      const end = lines.indexOf('```', index + 2)
      steps.push({ kind: 'typed', at, host: typed[1] as string, ran: Number(typed[2]), exit: Number(typed[3]), ...split(lines.slice(index + 2, end)) })
      index = end
    }
  }
  return steps.sort((a, b) => a.at - b.at)
}

/** `# COMMAND`, its standard output, `[stderr]` and its standard error. A here-document and the line after it belong to the command. */
function split(lines: readonly string[]): { command: string; stdout: string; stderr: string } {
  let last = 0
  const here = /<<'(\w+)'/.exec(lines[0] ?? '')
  if (here !== null) last = lines.indexOf(here[1] as string) + 1
  const mark = lines.indexOf('[stderr]')
  const end = mark === -1 ? lines.length : mark
  return {
    command: lines
      .slice(0, last + 1)
      .join('\n')
      .slice(2)
      .replace(/ {3}\(started in background\)$/, ''),
    stdout: lines.slice(last + 1, end).join('\n'),
    stderr: mark === -1 ? '' : lines.slice(mark + 1).join('\n'),
  }
}
