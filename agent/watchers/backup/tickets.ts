/** Leave for one restore: given to an administrator by the host whose service is written, shown to it by the repository server. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { HiveError } from '../../../proto/errors.ts'

export interface Leave {
  readonly service: string
  readonly script: string
  readonly sha256: string
}

/** Milliseconds until it must be used. */
const life = 10 * 60_000

/** In memory: an agent that restarted has given none. */
export class Tickets {
  readonly #now: () => Date
  #given: { readonly ticket: string; readonly leave: Leave; readonly until: Date }[] = []

  constructor(now: () => Date) {
    this.#now = now
  }

  give(leave: Leave): { readonly ticket: string; readonly until: Date } {
    const now = this.#now()
    const one = { ticket: randomBytes(32).toString('hex'), leave, until: new Date(now.getTime() + life) }
    this.#given = [...this.#given.filter(({ until }) => until > now), one]
    return one
  }

  /** It is used up by this. Throws HiveError 'denied'. */
  take(ticket: string, wanted: Leave): void {
    const now = this.#now()
    const found = this.#given.find(
      ({ ticket: known, leave, until }) =>
        until > now && same(known, ticket) && leave.service === wanted.service && leave.script === wanted.script && leave.sha256 === wanted.sha256,
    )
    if (found === undefined)
      throw new HiveError('denied', `nobody has allowed this restore of ${wanted.service}`, { hint: 'hivecoord backup restore asks the host for leave first' })
    this.#given = this.#given.filter((one) => one !== found)
  }
}

const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
