/** What a run has shown, as data and as a table. Pure. */
import Table from 'cli-table3'
import type { RecordAccount } from './account.ts'
import { keyOf } from './faults.ts'
import type { RoundReport } from './rounds.ts'

export interface Report {
  readonly seed: number
  /** What it ran on. */
  readonly machine: string
  /** How networks were slowed down. */
  readonly network: string
  /** Faults that can't be had here. */
  readonly leftOut: readonly { readonly kind: string; readonly reason: string }[]
  readonly rounds: readonly RoundReport[]
  /** Of each writer. */
  readonly records: Readonly<Record<string, RecordAccount>>
  /** Questions and answers of each reader. */
  readonly reads: Readonly<Record<string, { readonly asked: number; readonly answered: number }>>
  /** What the run left behind, and what stopped it. */
  readonly left: readonly string[]
  readonly failure: string | undefined
}

export interface Summary {
  /** Kinds of the faults. */
  readonly faults: string
  readonly rounds: number
  /** Milliseconds: median and longest of the rounds' longest times without an answer, by client. */
  readonly gaps: Readonly<Record<string, { readonly median: number; readonly longest: number }>>
  readonly converged: { readonly median: number; readonly longest: number }
  /** How often each command was needed. */
  readonly commands: Readonly<Record<string, number>>
}

/** The middle one; of an even number of them, the upper of the two. */
const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const both = (values: readonly number[]) => ({ median: middle(values), longest: Math.max(0, ...values) })

/** A row for each combination of kinds, in the order in which they came first. */
export function summarize(rounds: readonly RoundReport[]): readonly Summary[] {
  const clients = [...new Set(rounds.flatMap(({ gaps }) => Object.keys(gaps)))]
  return [...new Set(rounds.map(({ faults }) => keyOf(faults)))].map((faults) => {
    const of = rounds.filter((round) => keyOf(round.faults) === faults)
    const commands: Record<string, number> = {}
    for (const command of of.flatMap((round) => round.commands)) commands[command] = (commands[command] ?? 0) + 1
    return {
      faults,
      rounds: of.length,
      gaps: Object.fromEntries(clients.map((client) => [client, both(of.map(({ gaps }) => gaps[client] ?? 0))])),
      converged: both(of.map(({ converged }) => converged)),
      commands,
    }
  })
}

/** All that was promised was kept. */
export const isGood = ({ records, left, failure, rounds }: Report): boolean =>
  failure === undefined && rounds.length > 0 && left.length === 0 && Object.values(records).every(({ lost, wrong }) => lost.length === 0 && wrong.length === 0)

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1)
const cell = ({ median, longest }: { readonly median: number; readonly longest: number }, rounds: number): string =>
  rounds === 1 ? seconds(longest) : `${seconds(median)} (${seconds(longest)})`

export function inText(report: Report): string {
  const { seed, machine, network, rounds, records, reads, left, failure } = report
  const rows = summarize(rounds)
  const clients = Object.keys(rows[0]?.gaps ?? {})
  const table = new Table({
    head: ['faults', 'rounds', ...clients.map((client) => `${client} without answer`), 'whole again', 'by'],
    style: { head: [], border: [] },
  })
  for (const { faults, rounds: count, gaps, converged, commands } of rows) {
    const by = Object.entries(commands).map(([command, times]) => (times === 1 ? command : `${command} × ${times}`))
    table.push([
      faults,
      count,
      ...clients.map((client) => cell(gaps[client] ?? { median: 0, longest: 0 }, count)),
      cell(converged, count),
      by.join(', ') || 'itself',
    ])
  }
  return [
    `seed ${seed}; ${machine}`,
    ...(rounds.length === 0 ? [] : [table.toString(), 'seconds: the longest time in a round, where there were several the median (and the longest)']),
    ...Object.entries(records).map(
      ([name, { tried, acknowledged, lost, wrong, unheard }]) =>
        `${name}: ${tried} records sent, ${acknowledged} acknowledged, ${lost.length} lost${lost.length === 0 ? '' : ` (${lost.slice(0, 10).join(', ')})`}, ${wrong.length} wrong, ${unheard} there without an answer`,
    ),
    ...Object.entries(reads).map(([name, { asked, answered }]) => `${name}: ${asked} questions, ${answered} answered`),
    ...(rounds.some(({ faults }) => faults.some(({ kind }) => kind === 'slow-network')) ? [`slow-network: ${network}`] : []),
    ...report.leftOut.map(({ kind, reason }) => `left out: ${kind}: ${reason}`),
    ...left.map((what) => `left behind: ${what}`),
    ...(failure === undefined ? [] : [`failed: ${failure}`]),
    isGood(report) ? 'all that was acknowledged is there, and the site is as it was' : 'NOT ALL IS WELL',
  ].join('\n')
}
