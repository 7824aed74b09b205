/** One permanent line (or none) for each event, the same on a terminal and in a pipe. */
import pc from 'picocolors'
import type { ErrorReport, HiveEvent, PlannedStep } from '../../coordinator/events.ts'
import { count, disruptionWords, duration, shortHost } from './format.ts'

/** The lines that stay on screen for an event. */
export function linesOf(event: HiveEvent, verbose: boolean): string[] {
  switch (event.code) {
    case 'run.started':
      return [pc.dim(`run ${event.runId}: ${event.command}, stage ${event.stage}`)]
    case 'phase.started':
      return [pc.bold(event.phase)]
    case 'phase.planned': {
      const changes = event.steps.filter((s) => s.outcome.kind === 'change').length
      const lines = event.unreachable.map((host) => pc.yellow(`  ${shortHost(host)} does not answer`))
      return [...lines, ...(changes === 0 ? [] : [pc.dim(`  ${count(changes, 'change')} of ${count(event.steps.length, 'step')}`)])]
    }
    case 'phase.finished':
      return [
        `${event.ok ? pc.green('  done') : pc.red('  failed')} ${event.changed === 0 ? 'no change' : count(event.changed, 'change')}, ${duration(event.milliseconds)}`,
      ]
    case 'step.started':
      return verbose ? [pc.dim(`  ${shortHost(event.host)}  ${event.title} …`)] : []
    case 'step.log':
      return verbose ? [pc.dim(`  ${shortHost(event.host)}  | ${event.line}`)] : []
    case 'step.progress':
      return []
    case 'step.finished':
      return stepLines(event, verbose)
    case 'run.finished':
      return [
        event.ok
          ? pc.green(`${event.changed === 0 ? 'nothing to change' : count(event.changed, 'change')}, ${duration(event.milliseconds)}`)
          : pc.red(`failed with ${count(event.errors.length, 'error')} after ${duration(event.milliseconds)}`),
      ]
    case 'notice':
      return [pc.dim(`note: ${event.message}`)]
    case 'warning':
      return [pc.yellow(`warning: ${event.message}`)]
  }
}

function stepLines(event: Extract<HiveEvent, { code: 'step.finished' }>, verbose: boolean): string[] {
  const head = `  ${shortHost(event.host)}  ${event.title}`
  if (event.result === 'changed')
    return [`${pc.green('+')}${head.slice(1)} ${pc.dim(`${event.reason === '' ? '' : `(${event.reason}) `}${duration(event.milliseconds)}`)}`]
  if (event.result === 'failed') return [pc.red(`!${head.slice(1)}`), ...(event.error === undefined ? [] : errorLines(event.error).map((l) => `    ${l}`))]
  if (event.result === 'skipped') return [pc.yellow(`-${head.slice(1)} skipped: ${event.reason}`)]
  return verbose ? [pc.dim(head)] : []
}

/** An error as people read it: what, why, what to do. */
export function errorLines(error: ErrorReport): string[] {
  const where = error.host === undefined || error.host === '' ? '' : `${shortHost(error.host)}: `
  return [
    pc.red(`${where}${error.message}`),
    ...error.log.filter((line) => line.trim() !== '').map((line) => pc.dim(`| ${line}`)),
    ...(error.hint === undefined || error.hint === '' ? [] : [`→ ${error.hint}`]),
  ]
}

const indent = (text: string, by: string): string[] => (text === '' ? [] : text.split('\n').map((line) => by + line))

/** What a plan would change, with before and after. */
export function planLines(step: PlannedStep): string[] {
  const host = shortHost(step.host)
  const { outcome } = step
  if (outcome.kind === 'ok') return []
  if (outcome.kind === 'blocked') return [pc.red(`! ${host}  ${step.title}: ${outcome.reason}`), ...(outcome.hint === '' ? [] : [`    → ${outcome.hint}`])]
  const disruption = outcome.disruption === 0 ? '' : pc.yellow(` [${disruptionWords[outcome.disruption]}]`)
  const shown = outcome.before === '' && outcome.after === '' ? [] : [...indent(outcome.before, pc.red('    - ')), ...indent(outcome.after, pc.green('    + '))]
  return [`${pc.yellow('~')} ${host}  ${step.title}: ${outcome.reason}${disruption}`, ...shown]
}
