/**
 * Rules of iptables: of the variant that the host's own name `iptables` leads to (nf_tables or legacy), which is docker's too. All waits for its lock are bounded.
 */
import type { Family } from '../../../proto/follower-labels.ts'
import { isMissingProgram, run } from '../command.ts'

export type Table = 'nat' | 'filter'

export interface RuleSight {
  readonly family: Family
  readonly table: Table
  readonly chain: string
  /** As iptables prints them, without the chain. */
  readonly words: readonly string[]
}

/** A chain in the set of those that are there. */
export const chainKey = (family: Family, table: string, chain: string): string => `${family} ${table} ${chain}`

/** What iptables -S printed: a line is a chain's policy (-P), a chain (-N) or a rule (-A). */
export interface Listing {
  readonly family: Family
  readonly table: Table
  readonly lines: readonly string[]
}

const program = (family: Family): string => (family === 4 ? 'iptables' : 'ip6tables')
/** Seconds for the lock of others, docker above all. */
const patience = ['-w', '10']

/** undefined where the host has no such program, or its kernel no such table. */
export async function listRules(family: Family, table: Table, signal: AbortSignal): Promise<Listing | undefined> {
  try {
    const { code, stdout } = await run([program(family), ...patience, '-t', table, '-S'], { readOnly: true, timeout: 20_000, okCodes: [0, 3], signal })
    return code === 0 ? { family, table, lines: stdout.split('\n').filter((line) => line !== '') } : undefined
  } catch (error) {
    if (isMissingProgram(error)) return undefined
    throw error
  }
}

/** Words of a line, quotes taken off as iptables-save sets them. */
export const wordsOf = (line: string): readonly string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => (quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1')))

export const chainsOf = ({ family, table, lines }: Listing): readonly string[] =>
  lines.flatMap((line) => {
    const [option, chain = ''] = wordsOf(line)
    return option === '-N' || option === '-P' ? [chainKey(family, table, chain)] : []
  })

/** Rules whose comment begins with one of these. */
export const commentedRules = ({ family, table, lines }: Listing, prefixes: readonly string[]): readonly RuleSight[] =>
  lines.flatMap((line) => {
    const [option, chain = '', ...words] = wordsOf(line)
    const comment = words[words.indexOf('--comment') + 1] ?? ''
    return option === '-A' && words.includes('--comment') && prefixes.some((prefix) => comment.startsWith(prefix)) ? [{ family, table, chain, words }] : []
  })

/** Before all other rules of its chain. Throws HiveError. */
export const insertRule = (rule: RuleSight, signal: AbortSignal): Promise<unknown> => change('-I', rule, [0], signal)

/** One of it. Fine where it is gone meanwhile: docker empties its own chains when it starts. */
export const deleteRule = (rule: RuleSight, signal: AbortSignal): Promise<unknown> => change('-D', rule, [0, 1], signal)

const change = (option: '-I' | '-D', { family, table, chain, words }: RuleSight, okCodes: readonly number[], signal: AbortSignal): Promise<unknown> =>
  run([program(family), ...patience, '-t', table, option, chain, ...words], { timeout: 20_000, okCodes, signal })

/** Rules of one key do the same: options in any order, single hosts with or without their prefix, modules named or not. */
export function ruleKey({ family, table, chain, words }: RuleSight): string {
  const options: string[] = []
  for (let index = 0; index < words.length; index++) {
    const not = words[index] === '!' ? '!' : ''
    if (not !== '') index += 1
    const option = words[index] ?? ''
    const next = words[index + 1]
    const value = next === undefined || next.startsWith('-') || next === '!' ? '' : next
    if (value !== '') index += 1
    if (option !== '-m') options.push(`${not}${option} ${value.replace(family === 4 ? /\/32$/ : /\/128$/, '')}`)
  }
  return [family, table, chain, ...options.sort()].join(' ')
}
