/** While the repository server is away, what other hosts would change after its steps is left as it is, and no failure: nothing serves by it. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { PlannedStep } from '../events.ts'
import type { Host } from '../inventory/site.ts'
import { withoutSteps } from './images-out-of-reach.ts'

interface Planned {
  readonly steps: readonly Step[]
  readonly planned: readonly PlannedStep[]
  readonly unreachable: readonly string[]
}

const whatOf = (id: string): string => id.slice(0, id.lastIndexOf('@'))

/** Of a server that is a hive host too nothing is left out here: others may need what it does for the swarm. */
export function leaveOutAfterRepository<P extends Planned>(
  phase: P,
  hosts: readonly Pick<Host, 'name' | 'isRepository' | 'isHive'>[],
): { readonly phase: P; readonly warnings: readonly string[] } {
  const away = hosts.find(({ isRepository, isHive, name }) => isRepository && !isHive && phase.unreachable.includes(name))?.name
  if (away === undefined) return { phase, warnings: [] }
  // A step that other hosts have too is each host's own preparation.
  const elsewhere = new Set(phase.steps.filter(({ host }) => host !== away).map(({ id }) => whatOf(id)))
  const own = phase.steps.filter(({ host, id }) => host === away && !elsewhere.has(whatOf(id)))
  const { kept, waiting } = withoutSteps(phase, new Set(own.map(({ id }) => id)))
  return { phase: kept, warnings: waiting.map(({ title, host }) => `${host}: ${title}: left as it is, since ${away} comes first and does not answer`) }
}
