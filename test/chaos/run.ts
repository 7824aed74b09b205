/** A whole run: rounds one after the other, then the account of what clients were told. */
import { messageOf } from '../../proto/errors.ts'
import { accountOf } from './account.ts'
import { drawRounds, type Kind, leftOut } from './faults.ts'
import type { ChaosLab } from './lab.ts'
import { leftInSite } from './leftovers.ts'
import type { Report } from './report.ts'
import { type RoundReport, runRound } from './rounds.ts'
import { inWords, wayHere } from './slow-network.ts'

export interface RunSettings {
  readonly seed: number
  readonly kinds: readonly Kind[]
  /** Asked before each round: whether there is to be another one, after so many. */
  readonly goesOn: (rounds: number) => boolean
  readonly machine: string
}

/** Never rejects: what stopped it is in the report. */
export async function run(lab: ChaosLab, { seed, kinds, goesOn, machine }: RunSettings): Promise<Report> {
  const way = wayHere()
  const rounds: RoundReport[] = []
  let failure: string | undefined
  const records: Record<string, Report['records'][string]> = {}
  let left: readonly string[] = []
  try {
    for (const faults of drawRounds(seed, kinds)) {
      if (!goesOn(rounds.length)) break
      rounds.push(await runRound(lab, faults, way))
    }
    left = await leftInSite(lab)
  } catch (error) {
    failure = causesOf(error).join(': ')
  }
  await Promise.all(lab.clients.map((client) => client.stop()))
  const writers = lab.clients.filter(({ writes }) => writes)
  try {
    for (const client of writers) records[client.name] = accountOf(client.attempts, await client.readBack())
  } catch (error) {
    failure ??= causesOf(error).join(': ')
  }
  const readers = lab.clients.filter(({ writes }) => !writes)
  const reads = Object.fromEntries(readers.map(({ name, attempts, answered }) => [name, { asked: attempts.length, answered }]))
  return { seed, machine, network: inWords[way], leftOut, rounds, records, reads, left, failure }
}

const causesOf = (error: unknown): readonly string[] =>
  error instanceof Error && error.cause !== undefined ? [messageOf(error), ...causesOf(error.cause)] : [messageOf(error)]
