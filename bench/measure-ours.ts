/** What hivecoord takes: each figure is the time from the start of its process to its end. */
import { contentOf } from './content.ts'
import { writeServices } from './site.ts'
import type { BenchStage } from './stage.ts'
import { median } from './statistics.ts'

const phases = ['deploy', '--only', 'build-networks,build-volumes,deploy-services'] as const
const repetitions = 3

/** Milliseconds. */
export interface OurFigures {
  /** Until everything is created. */
  readonly first: number
  /** What was left then until all tasks ran. */
  readonly converged: number
  /** Medians. */
  readonly unchanged: number
  readonly changed: number
  readonly changedConverged: number
  readonly planCalls: number
}

/** On an empty stage. Throws where a deploy fails, or where one of an unchanged site changes something. */
export async function measureOurs(stage: BenchStage, services: number): Promise<OurFigures> {
  const revisions = new Map<string, number>()
  const write = (): void => writeServices(stage.site.folder, contentOf(services, revisions))
  write()
  const first = await stage.command(...phases, '--no-wait')
  const converged = await stage.command(...phases)

  const unchanged: number[] = []
  let planCalls = 0
  for (let time = 0; time < repetitions; time += 1) {
    const run = await stage.command(...phases)
    if ((run.result as { changed: number }).changed !== 0) throw new Error(`deploying the unchanged site changed something: ${JSON.stringify(run.result)}`)
    planCalls = run.events.reduce((sum, event) => sum + (event.code === 'phase.planned' ? event.planCalls : 0), 0)
    unchanged.push(run.milliseconds)
  }

  const changed: number[] = []
  const changedConverged: number[] = []
  for (let time = 0; time < repetitions; time += 1) {
    const name = contentOf(services).services[time % services]?.name ?? ''
    revisions.set(name, (revisions.get(name) ?? 1) + 1)
    write()
    const run = await stage.command(...phases, '--no-wait')
    if ((run.result as { changed: number }).changed !== 1) throw new Error(`one service was to be changed: ${JSON.stringify(run.result)}`)
    changed.push(run.milliseconds)
    changedConverged.push((await stage.command(...phases)).milliseconds)
  }
  return {
    first: first.milliseconds,
    converged: converged.milliseconds,
    unchanged: median(unchanged),
    changed: median(changed),
    changedConverged: median(changedConverged),
    planCalls,
  }
}
