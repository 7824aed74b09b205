import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from '../../chaos/options.ts'
import { inText, isGood, type Report, summarize } from '../../chaos/report.ts'
import type { RoundReport } from '../../chaos/rounds.ts'

const round = (faults: RoundReport['faults'], gap: number, converged: number, commands: readonly string[] = []): RoundReport => ({
  faults,
  at: 0,
  lasted: 10_000,
  converged,
  commands,
  gaps: { records: gap, names: 100 },
})
const cut = { kind: 'cut-off', host: 1, length: 10 } as const
const killed = { kind: 'kill-agent', host: 0, length: 10 } as const

const report = (given: Partial<Report> = {}): Report => ({
  seed: 7,
  machine: '2 cores',
  network: 'tbf',
  leftOut: [{ kind: 'clock-jump', reason: 'one clock' }],
  rounds: [round([cut], 20_000, 9_000), round([cut], 30_000, 5_000, ['doctor --repair (disk-detached)']), round([killed, cut], 25_000, 4_000)],
  records: { records: { tried: 10, acknowledged: 8, lost: [], wrong: [], unheard: 1 } },
  reads: { names: { asked: 20, answered: 20 } },
  left: [],
  failure: undefined,
  ...given,
})

test('rounds of the same faults are summed up', () => {
  const [first, second, ...rest] = summarize(report().rounds)
  assert.deepEqual(rest, [])
  assert.deepEqual(first, {
    faults: 'cut-off',
    rounds: 2,
    gaps: { records: { median: 30_000, longest: 30_000 }, names: { median: 100, longest: 100 } },
    converged: { median: 9_000, longest: 9_000 },
    commands: { 'doctor --repair (disk-detached)': 1 },
  })
  assert.equal(second?.faults, 'cut-off + kill-agent')
})

test('a run is good only where nothing was lost, nothing is left, nothing stopped it, and something was done', () => {
  assert.ok(isGood(report()))
  const account = { tried: 10, acknowledged: 8, lost: [], wrong: [], unheard: 0 }
  for (const bad of [
    { records: { records: { ...account, lost: [3] } } },
    { records: { records: { ...account, wrong: [3] } } },
    { left: ['a lock'] },
    { failure: 'the site does not become whole' },
    { rounds: [] },
  ])
    assert.equal(isGood(report(bad)), false, JSON.stringify(bad))
})

test('the report says what was lost, left behind and left out', () => {
  const text = inText(report({ left: ['a lock'], records: { records: { tried: 2, acknowledged: 2, lost: [2], wrong: [], unheard: 0 } } }))
  for (const part of ['seed 7', '1 lost (2)', 'left behind: a lock', 'left out: clock-jump: one clock', 'NOT ALL IS WELL']) assert.ok(text.includes(part), part)
  assert.match(inText(report()), /all that was acknowledged is there/)
})

test('options that are not understood are refused, and faults are taken in one order', () => {
  assert.deepEqual(parseOptions(['--seed', '5', '--minutes', '2.5', '--faults', 'kill-agent, power-off', '--no-database']), {
    minutes: 2.5,
    seed: 5,
    kinds: ['power-off', 'kill-agent'],
    database: false,
    json: undefined,
  })
  for (const bad of [['--minutes', '0'], ['--seed', '-1'], ['--seed', 'x'], ['--faults', 'flood'], ['--unknown']])
    assert.throws(() => parseOptions(bad), bad.join(' '))
})
