/** The options that deploy, the phases' own commands and plan share. */
import { type Command, InvalidArgumentError } from 'commander'
import { type PhaseName, phaseNames } from '../../coordinator/events.ts'

export interface PhaseOptions {
  readonly from?: PhaseName
  readonly only?: readonly PhaseName[]
  readonly limit?: string
  readonly pull?: boolean
  readonly reapplyRoles?: boolean
}

const phase = (text: string): PhaseName => {
  const found = phaseNames.find((name) => name === text)
  if (found === undefined) throw new InvalidArgumentError(`phases are ${phaseNames.join(', ')}`)
  return found
}

export const withPhaseChoice = (command: Command): Command =>
  command
    .option('--from <phase>', 'begin with this phase', phase)
    .option('--only <phases>', 'these phases, separated by commas', (text) => text.split(',').map(phase))

export const withLimit = (command: Command): Command =>
  command
    .option('-l, --limit <names>', 'only these hosts, services or volumes, separated by commas')
    .option('--pull', 'ask registries anew what moving tags such as latest mean')
    .option('--reapply-roles', 'apply addon and initialize_roles again where nothing changed')

/** The phases in their order. */
export function chosenPhases({ from, only }: PhaseOptions): readonly PhaseName[] {
  if (only !== undefined) return phaseNames.filter((name) => only.includes(name))
  return from === undefined ? phaseNames : phaseNames.slice(phaseNames.indexOf(from))
}

/** Whether the registry gets what the inventory says: only a run on all hosts is sure to reach its server. */
export const setsUpRegistry = (options: PhaseOptions): boolean => options.limit === undefined && chosenPhases(options).includes('setup-hosts')
