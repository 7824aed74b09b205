/** `hivecoord logs SERVICE`: from the files on the repository server, or from the containers that run. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Site } from '../../coordinator/inventory/site.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { showCollectedLogs } from './collected-logs.ts'
import { showContainerLogs } from './container-logs.ts'
import { positive } from './numbers.ts'

/** "10m", "2h", "1d" ago, or a time that Date understands. */
export function parseSince(text: string): Date {
  const span = /^(\d+)([smhd])$/.exec(text)
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[span?.[2] ?? '']
  const time = span === null || unit === undefined ? new Date(text) : new Date(Date.now() - Number(span[1]) * unit * 1000)
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('write a span such as 10m, 2h or 1d, or a time such as 2026-11-23T10:00')
  return time
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error))
  }
}

const linesByDefault = 100

type Source = 'containers' | 'repository'

interface LogOptions {
  readonly follow?: boolean
  readonly since?: Date
  readonly tail?: number
  readonly grep?: RegExp
  readonly from?: Source
  readonly errors?: boolean
}

export function registerLogs(program: Command, app: () => App): void {
  program
    .command('logs')
    .description('show what a service logged')
    .argument('<service>')
    .option('-f, --follow', 'go on as more comes')
    .option('--since <time>', '10m, 2h, 1d or a time', parseSince)
    .option('--tail <n>', `only the last lines (${linesByDefault}; with --since all)`, positive)
    .option('--grep <regex>', 'only lines that match', parsePattern)
    .option('--errors', 'only what monitor_error found')
    .addOption(
      new Option('--from <where>', 'files on the repository server, or the containers that run; without it the files where there are any').choices([
        'repository',
        'containers',
      ]),
    )
    .action(async (service: string, options: LogOptions) => {
      const given = app()
      const stage = await given.open()
      const wish = {
        follow: options.follow === true,
        since: options.since,
        tail: options.tail ?? (options.since === undefined ? linesByDefault : 0),
        grep: options.grep,
        errors: options.errors === true,
      }
      if (wish.errors && options.from === 'containers')
        throw new HiveError('invalid-input', 'errors are found on the repository server', { hint: 'leave out --from' })
      const first = options.from ?? (wish.errors ? 'repository' : usualSource(stage.site, service))
      if (first === 'containers') return showContainerLogs(given, stage, service, wish)
      let shown = false
      try {
        await showCollectedLogs(given, stage, service, wish, () => {
          shown = true
        })
      } catch (error) {
        if (shown || options.from !== undefined || wish.errors || !hasNothing(error)) throw error
        given.renderer.event({ code: 'notice', message: `the containers that run, since the repository server does not tell: ${error.message}` })
        await showContainerLogs(given, stage, service, wish)
      }
    })
}

/** A service that logs elsewhere has no file. One that the inventory does not know has no container, and perhaps none. */
export function usualSource(site: Pick<Site, 'services' | 'hosts'>, service: string): Source {
  const found = site.services.find(({ name }) => name === service)
  return found !== undefined && found.logging === undefined && site.hosts.some(({ isRepository }) => isRepository) ? 'repository' : 'containers'
}

/** The server is away, has no such log, or an agent that does not know the question. */
const hasNothing = (error: unknown): error is HiveError => error instanceof HiveError && ['unreachable', 'not-found', 'unsupported'].includes(error.code)
