/** One round of a run: faults begin at once, are seen, last until the clients got on beside them, end; then the site becomes whole again. */
import { eventually, patience } from '../lab/harness/eventually.ts'
import { openIn, plan } from '../lab/harness/plans.ts'
import { longestGap } from './account.ts'
import { findingKey, findingsOf, wayOut } from './doctor.ts'
import { type Fault, inWords } from './faults.ts'
import { inflict } from './inflict.ts'
import type { ChaosLab } from './lab.ts'
import type { Way } from './slow-network.ts'

export interface RoundReport {
  readonly faults: readonly Fault[]
  /** When it began, milliseconds since 1970. */
  readonly at: number
  /** Milliseconds from its beginning to the end of its faults. */
  readonly lasted: number
  /** Milliseconds from the end of its faults until the site was whole: no host, service or volume missed, nothing left to a plan or to the doctor. */
  readonly converged: number
  /** Commands that were needed for that; empty: it came about by itself. */
  readonly commands: readonly string[]
  /** Longest time without an answer, milliseconds, of each client. */
  readonly gaps: Readonly<Record<string, number>>
}

/** Looks of the doctor in which the same finding stays before its repair is carried out: what heals by itself has had its time by then. */
const looksBeforeRepair = 6
/** A step of agents on a busy machine, an election and a resync after another: more than what one of them may take. */
const convergence = 2 * patience

/** Throws where the site does not become whole, with what is left. */
export async function runRound(lab: ChaosLab, faults: readonly Fault[], way: Way): Promise<RoundReport> {
  lab.say(inWords(faults))
  const at = Date.now()
  const begun = await Promise.all(faults.map((fault) => inflict(lab, fault, faults, way)))
  try {
    await Promise.all(begun.map(({ effect }) => effect()))
    const lengths = faults.filter(({ kind }) => kind !== 'coordinator-killed').map(({ length }) => length)
    await Promise.all(lab.clients.map((client) => client.more(Math.max(1, ...lengths))))
  } finally {
    for (const { end } of begun) await end()
  }
  const ended = Date.now()
  const commands = await becomeWhole(
    lab,
    begun.some(({ cut }) => cut !== undefined),
  )
  const whole = Date.now()
  const gaps = Object.fromEntries(lab.clients.map(({ name, attempts }) => [name, longestGap(attempts, at, whole)]))
  const told = Object.entries(gaps).map(([name, gap]) => `${name} ${(gap / 1000).toFixed(1)} s`)
  lab.say(
    `  whole ${((whole - ended) / 1000).toFixed(0)} s after its end${commands.length === 0 ? '' : ` by ${commands.join(', ')}`}; longest without an answer: ${told.join(', ')}`,
  )
  return { faults, at, lasted: ended - at, converged: whole - ended, commands, gaps }
}

/** Answers the commands that were needed. `deployed`: a deploy was begun in this round: the same command again does the rest. */
async function becomeWhole(lab: ChaosLab, deployed: boolean): Promise<readonly string[]> {
  const commands: string[] = []
  if (deployed) {
    // Agents and managers come back first: until then it says so and changes nothing.
    await eventually('the same deploy again', convergence, async () => (await lab.site.run(['deploy'])).code === 0)
    commands.push('deploy')
  }
  const seen = new Map<string, number>()
  let left: readonly string[] = []
  await eventually('the site is whole', convergence, async () => {
    const findings = (await findingsOf(lab.site)).filter((finding) => !lab.known.has(findingKey(finding)))
    const keys = findings.map(findingKey)
    for (const key of keys) seen.set(key, (seen.get(key) ?? 0) + 1)
    for (const key of seen.keys()) if (!keys.includes(key)) seen.delete(key)
    const stays = findings.find((finding) => wayOut(finding) !== undefined && (seen.get(findingKey(finding)) ?? 0) >= looksBeforeRepair)
    const words = stays === undefined ? undefined : wayOut(stays)
    if (stays !== undefined && words !== undefined) {
      lab.say(`  the doctor: ${stays.title}`)
      await lab.site.run(words)
      commands.push(`${words.join(' ')} (${stays.state})`)
      seen.clear()
      return false
    }
    if (findings.length > 0) {
      left = findings.map(({ title }) => title)
      return false
    }
    left = openIn(await plan(lab.site))
    return left.length === 0
  }).catch((error: unknown) => {
    throw new Error(`the site does not become whole: ${left.join('; ')}`, { cause: error })
  })
  await Promise.all(lab.clients.map((client) => client.more(3)))
  return commands
}
