/** A dashboard of this process on loopback, whose facts and operations tests set. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Operator, Request } from '../../../cli/dashboard/operations.ts'
import { Dashboard } from '../../../cli/dashboard/server.ts'
import { type ViewInput, viewOf } from '../../../cli/dashboard/view.ts'
import { Poller } from '../../../coordinator/dashboard/poller.ts'
import { HiveError } from '../../../proto/errors.ts'

export interface Bed {
  readonly dashboard: Dashboard
  readonly origin: string
  /** The address as the command prints it. */
  readonly url: () => string
  readonly begun: readonly Request[]
  /** Addresses told after one was opened. */
  readonly told: readonly string[]
  /** For how many the hosts are asked, beside pages that are just made. */
  readonly looking: () => number
  show(input: ViewInput): void
}

export async function dashboardBed(context: Pick<TestContext, 'after'>, input: ViewInput): Promise<Bed> {
  let shown = input
  let looking = 0
  const begun: Request[] = []
  const told: string[] = []
  const ended = new AbortController()
  const operator: Operator = {
    operations: [],
    question: async (kind, name) => {
      if (!input.site.services.some((service) => service.name === name) && !input.site.hosts.some(({ shortName }) => shortName === name))
        throw new HiveError('not-found', `there is no ${name}`)
      return { kind, name, about: 'about it', verdict: undefined, replicas: kind === 'scale' ? 2 : undefined }
    },
    begin: (request) => void begun.push(request),
  }
  const poller = new Poller({ ask: async () => undefined, interval: 50 })
  const dashboard = new Dashboard({
    pollers: [
      {
        watch: (told) => {
          looking += 1
          const end = poller.watch(told)
          return () => {
            looking -= 1
            end()
          }
        },
        next: (patience) => poller.next(patience),
      },
    ],
    view: () => viewOf(shown),
    at: () => '12:00:00',
    operator: input.operates ? operator : undefined,
    opened: (path) => void told.push(path),
    signal: ended.signal,
  })
  dashboard.server.listen(0, '127.0.0.1')
  await once(dashboard.server, 'listening')
  context.after(() => {
    ended.abort()
    poller.close()
  })
  const origin = `http://127.0.0.1:${(dashboard.server.address() as AddressInfo).port}`
  return {
    dashboard,
    origin,
    url: () => origin + dashboard.path,
    begun,
    told,
    looking: () => looking,
    show: (next) => {
      shown = next
      dashboard.push()
    },
  }
}
