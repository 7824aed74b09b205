/** `hivecoord plan`: what a deploy would change, where, why and how disruptive that is. Changes nothing. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { PhaseReport } from '../../coordinator/index.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { count, disruptionWords } from '../render/format.ts'
import { errorLines, planLines } from '../render/lines.ts'
import { parseLimit } from './limit.ts'
import { chosenPhases, type PhaseOptions, setsUpRegistry, withLimit, withPhaseChoice } from './phase-options.ts'

export function registerPlan(program: Command, app: () => App): void {
  const command = withLimit(withPhaseChoice(program.command('plan').description('show what a deploy would change; changes nothing')))
  command
    .option('--exit-code', `exit with ${foundExitCode} where something would change, with 1 where something is blocked`)
    .action(async (options: PhaseOptions & { exitCode?: boolean }) => {
      const { open, renderer } = app()
      const stage = await open({ plans: true, setsUpRegistry: setsUpRegistry(options) })
      const reports = await stage.plan({
        phases: chosenPhases(options),
        limit: parseLimit(stage.site, options.limit),
        refreshImages: options.pull,
        reapplyRoles: options.reapplyRoles,
      })
      const changes = reports.flatMap(({ steps }) => steps).filter(({ outcome }) => outcome.kind === 'change').length
      const blocked = reports.flatMap(({ steps, errors }) => [...steps.filter(({ outcome }) => outcome.kind === 'blocked'), ...errors]).length
      renderer.result(planJson(reports), planText(reports, changes, blocked))
      if (options.exitCode === true && changes > 0) process.exitCode = foundExitCode
      if (options.exitCode === true && blocked > 0) process.exitCode = 1
    })
}

/** [{phase, unreachable, unknown, steps: [{host, step, title, outcome, reason, before, after, disruption}]}], unchanged steps left out. */
const planJson = (reports: readonly PhaseReport[]): unknown =>
  reports.map(({ phase, steps, unreachable, planCalls, notices, errors, unknown }) => ({
    phase,
    planCalls,
    unreachable,
    notices,
    errors,
    ...(unknown === undefined ? {} : { unknown }),
    checked: steps.length,
    steps: steps
      .filter(({ outcome }) => outcome.kind !== 'ok')
      .map(({ host, stepId, title, outcome }) => ({
        host,
        step: stepId,
        title,
        outcome: outcome.kind,
        ...(outcome.kind === 'ok' ? {} : { reason: outcome.reason }),
        ...(outcome.kind === 'change' ? { before: outcome.before, after: outcome.after, disruption: disruptionWords[outcome.disruption] } : {}),
        ...(outcome.kind === 'blocked' ? { hint: outcome.hint } : {}),
      })),
  }))

function planText(reports: readonly PhaseReport[], changes: number, blocked: number): string {
  const sections = reports.flatMap((report) => {
    const lines = [
      ...report.unreachable.map((host) => pc.yellow(`  ${host} does not answer`)),
      ...(report.unknown === undefined ? [] : [pc.dim(`  ${report.unknown}`)]),
      ...report.steps.flatMap(planLines).map((line) => `  ${line}`),
      ...report.errors.flatMap(errorLines).map((line) => `  ${line}`),
    ]
    return lines.length === 0 ? [] : [pc.bold(report.phase), ...lines]
  })
  const summary = changes === 0 ? 'nothing to change' : count(changes, 'change')
  return [...sections, blocked === 0 ? summary : `${summary}, ${pc.red(`${blocked} blocked`)}`].join('\n')
}
