/** While the server with the site's registry is away, what needs an image that a host does not have yet is left as it is; all else goes on. */
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { PlannedStep } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { FactSource } from '../phases/phase.ts'

interface Planned {
  readonly steps: readonly Step[]
  readonly planned: readonly PlannedStep[]
}

export interface LeftOut<P extends Planned> {
  /** Without the steps that wait for the registry. */
  readonly phase: P
  /** The repository server, where something had to wait for it. */
  readonly away: string | undefined
  /** Sentences for people: what is left as it is. */
  readonly warnings: readonly string[]
}

interface Input {
  readonly site: Pick<Site, 'hosts' | 'registry'>
  readonly agents: Pick<SiteAgents, 'reach'>
  readonly facts: Pick<FactSource, 'resolveImage'>
  readonly signal: AbortSignal
}

/** Asks for nothing where no image is missing, or where the repository server answers. */
export async function leaveOutMissingImages<P extends Planned>(phase: P, { site, agents, facts, signal }: Input): Promise<LeftOut<P>> {
  const all = { phase, away: undefined, warnings: [] }
  const missing = missingImages(phase, `${site.registry.host}:${site.registry.port}/`)
  const repository = site.hosts.find(({ isRepository }) => isRepository)?.name
  if (missing.size === 0 || repository === undefined || 'client' in (await agents.reach(repository, signal))) return all
  const gone = new Set<string>()
  for (const [id, reference] of missing) if (!(await answers(facts, reference, signal))) gone.add(id)
  if (gone.size === 0) return all
  const { kept, waiting } = withoutSteps(phase, gone)
  const warnings = waiting.map(({ title }) => `${title} is left as it is: its image is in the registry of ${repository}, which does not answer`)
  return { phase: kept, away: repository, warnings }
}

/** References of the site's own registry that a host is to pull, by step. */
function missingImages({ steps, planned }: Planned, registry: string): ReadonlyMap<string, string> {
  const changing = new Set(planned.flatMap(({ stepId, outcome }) => (outcome.kind === 'change' ? [stepId] : [])))
  return new Map(
    steps.flatMap(({ id, spec }): [string, string][] =>
      changing.has(id) && spec?.kind?.$case === 'ensureImage' && spec.kind.value.reference.startsWith(registry) ? [[id, spec.kind.value.reference]] : [],
    ),
  )
}

/** The registry may answer although the agent beside it does not. */
const answers = (facts: Input['facts'], reference: string, signal: AbortSignal): Promise<boolean> =>
  facts.resolveImage(reference).then(
    () => true,
    (error: unknown) => {
      signal.throwIfAborted()
      if (error instanceof HiveError) return false
      throw error
    },
  )

/** Drops these steps and the changes that need them. What needs them and is as wanted stays: it is not touched. Exported for tests. */
export function withoutSteps<P extends Planned>(phase: P, gone: ReadonlySet<string>): { readonly kept: P; readonly waiting: readonly Step[] } {
  const changing = new Set(phase.planned.flatMap(({ stepId, outcome }) => (outcome.kind === 'change' ? [stepId] : [])))
  const dropped = new Set(gone)
  const waiting: Step[] = []
  for (let again = true; again; ) {
    again = false
    for (const step of phase.steps) {
      if (dropped.has(step.id) || !changing.has(step.id) || !step.needs.some((need) => dropped.has(need))) continue
      dropped.add(step.id)
      waiting.push(step)
      again = true
    }
  }
  const kept = {
    ...phase,
    steps: phase.steps.filter(({ id }) => !dropped.has(id)),
    planned: phase.planned.filter(({ stepId }) => !dropped.has(stepId)),
  }
  return { kept, waiting }
}
