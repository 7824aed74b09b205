import { describe, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { type StageName, stageNames } from './site.ts'
import { isStageName } from './stages.ts'
import { didYouMean } from './suggest.ts'
import { joined, valueAt } from './yaml-source.ts'

/** `available_on` of a file, a service or a volume; undefined where it is not written. */
export const readStages = (holder: Mapping, path: string, findings: Findings): readonly StageName[] | undefined => {
  const value = holder['available_on']
  if (value === undefined || value === null) return undefined
  const list = Array.isArray(value) ? value : [value]
  const stages: StageName[] = []
  list.forEach((item: unknown, index) => {
    if (isStageName(item)) stages.push(item)
    else {
      findings.problem(
        Array.isArray(value) ? valueAt(value, index) : valueAt(holder, 'available_on'),
        joined(path, 'available_on'),
        `unknown stage ${describe(item)}`,
        didYouMean(String(item), stageNames),
      )
    }
  })
  // With an unknown stage among them all stand in: what else is wrong is told on whichever stage is looked at.
  return stages.length < list.length ? stageNames : stages
}
