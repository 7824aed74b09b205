/** `hivecoord drift`: what differs from the inventory on the hosts. Changes nothing there. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { type Difference, type Drift, grouped, kindOf } from '../../coordinator/drift/drift.ts'
import type { Stranger } from '../../coordinator/drift/strangers.ts'
import type { App } from '../app.ts'
import { foundExitCode, leftOutExitCode } from '../exit-codes.ts'
import { count, shortHost } from '../render/format.ts'
import { setsUpRegistry } from './phase-options.ts'

export function registerDrift(program: Command, app: () => App): void {
  program
    .command('drift')
    .description(`what differs from the inventory on the hosts, and what it does not know; changes nothing; exit code ${foundExitCode} where there is some`)
    .action(async () => {
      const { open, renderer } = app()
      const stage = await open({ plans: true, setsUpRegistry: setsUpRegistry({}) })
      const drift = await stage.lookForDrift()
      renderer.result(drift, driftText(drift))
      process.exitCode = exitCodeOf(drift)
    })
}

/** 1: something could not be compared. */
function exitCodeOf(drift: Drift): number | undefined {
  const kind = kindOf(drift)
  if (kind === 'some') return foundExitCode
  if (kind === 'unknown') return 1
  return drift.unreachable.length > 0 ? leftOutExitCode : undefined
}

export function driftText(drift: Drift): string {
  const { differences, strangers, unknown, unreachable } = drift
  return [
    ...[...grouped(differences)].flatMap(([whose, all]) => [pc.bold(whose), ...all.flatMap(differenceLines)]),
    ...(strangers.length === 0 ? [] : [pc.bold('not in the inventory'), ...strangers.flatMap(strangerLines)]),
    ...(unknown.length === 0 ? [] : [pc.bold('not compared'), ...unknown.map((line) => pc.yellow(`  ${line}`))]),
    ...unreachable.map((host) => pc.yellow(`${host} does not answer`)),
    summary(drift),
  ].join('\n')
}

const summary = (drift: Drift): string =>
  kindOf(drift) === 'some'
    ? pc.red(
        [
          ...(drift.differences.length === 0 ? [] : [count(drift.differences.length, 'difference')]),
          ...(drift.strangers.length === 0 ? [] : [`${drift.strangers.length} not in the inventory`]),
        ].join(', '),
      )
    : kindOf(drift) === 'unknown' || drift.unreachable.length > 0
      ? pc.yellow('no drift in what could be compared')
      : pc.green('no drift')

const indented = (text: string, by: string): readonly string[] => (text === '' ? [] : text.split('\n').map((line) => `${by}${line}`))

const differenceLines = ({ what, phase, reason, wanted, actual }: Difference): readonly string[] => [
  `  ${what}: ${reason} ${pc.dim(`(${phase})`)}`,
  ...indented(wanted, pc.green('    should be ')),
  ...indented(actual, pc.red('    is        ')),
]

const strangerLines = ({ kind, name, hosts, because, command }: Stranger): readonly string[] => [
  `  ${kind} ${name}${hosts.length === 0 ? '' : ` on ${hosts.map(shortHost).join(', ')}`}: ${because}`,
  ...(command === '' ? [] : [pc.dim(`    to take it away: ${command}`)]),
]
