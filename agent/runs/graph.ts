/** The order of a run's steps: pure. */
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'

export interface Graph {
  /** By step id: the steps of this run that must be done before. Needs outside the run count as done. */
  readonly needs: ReadonlyMap<string, readonly string[]>
  /** By step id: the steps of this run that wait for it. */
  readonly dependants: ReadonlyMap<string, readonly string[]>
}

/** Throws HiveError 'invalid-input' on a repeated id or a cycle. */
export function graphOf(steps: readonly Step[]): Graph {
  const ids = new Set(steps.map((step) => step.id))
  if (ids.size !== steps.length) {
    const twice = steps.find((step, index) => steps.findIndex((other) => other.id === step.id) !== index)
    throw new HiveError('invalid-input', `the step ${twice?.id} is given twice`)
  }
  const needs = new Map<string, string[]>()
  const dependants = new Map<string, string[]>(steps.map((step) => [step.id, []]))
  for (const step of steps) {
    const inside = [...new Set(step.needs)].filter((need) => ids.has(need))
    needs.set(step.id, inside)
    for (const need of inside) dependants.get(need)?.push(step.id)
  }
  const open = new Map([...needs].map(([id, inside]) => [id, inside.length]))
  const ready = [...open].filter(([, count]) => count === 0).map(([id]) => id)
  let done = 0
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    done += 1
    for (const next of dependants.get(id) ?? []) {
      const left = (open.get(next) ?? 0) - 1
      open.set(next, left)
      if (left === 0) ready.push(next)
    }
  }
  if (done < steps.length) {
    const circle = [...open].filter(([, count]) => count > 0).map(([id]) => id)
    throw new HiveError('invalid-input', `these steps wait for each other: ${circle.slice(0, 5).join(', ')}`)
  }
  return { needs, dependants }
}

/** All steps of the run that must be done before, however far. */
export function transitiveNeeds(graph: Graph, id: string): Set<string> {
  const found = new Set<string>()
  const open = [...(graph.needs.get(id) ?? [])]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue
    found.add(next)
    open.push(...(graph.needs.get(next) ?? []))
  }
  return found
}

/** Steps name their host; one that reached the wrong agent must not be carried out. */
export function ownSteps(steps: readonly Step[], hostName: string): void {
  const foreign = steps.find(({ host }) => host !== '' && host !== hostName)
  if (foreign !== undefined) throw new HiveError('invalid-input', `the step ${foreign.id} belongs to ${foreign.host}; this is ${hostName}`)
}
