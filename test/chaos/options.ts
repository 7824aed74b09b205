/** The command line of `npm run chaos`. */
import { parseArgs } from 'node:util'
import { type Kind, kinds, natures } from './faults.ts'

export interface Options {
  readonly minutes: number
  /** undefined: any. */
  readonly seed: number | undefined
  readonly kinds: readonly Kind[]
  readonly database: boolean
  /** Where the report goes as JSON. */
  readonly json: string | undefined
}

export const usage = `npm run chaos -- [options]
  --minutes N        no round of faults begins later (default: 10)
  --seed N           of the sequence of faults; the same one makes the same sequence (default: any)
  --faults a,b       only these (default: all):
${kinds.map((kind) => `                       ${kind.padEnd(20)}${natures[kind].words}`).join('\n')}
  --no-database      without MariaDB: only the small writer and the name server
  --json FILE        write the report there, too
`

const largestSeed = 2 ** 32 - 1

/** Throws a RangeError or parseArgs' TypeError for what it does not understand. */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      'no-database': { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  const minutes = Number(values.minutes)
  if (!(minutes > 0 && minutes <= 24 * 60)) throw new RangeError(`--minutes: up to ${24 * 60}, not ${values.minutes}`)
  const seed = values.seed === undefined ? undefined : Number(values.seed)
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed <= largestSeed))
    throw new RangeError(`--seed: a whole number up to ${largestSeed}, not ${values.seed}`)
  const named = values.faults?.split(',').map((name) => name.trim())
  const unknown = named?.find((name) => !kinds.some((kind) => kind === name))
  if (unknown !== undefined) throw new RangeError(`--faults: there is no fault ${unknown}: ${kinds.join(', ')}`)
  return { minutes, seed, kinds: kinds.filter((kind) => named?.includes(kind) ?? true), database: !values['no-database'], json: values.json }
}
