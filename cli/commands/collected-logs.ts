/** What a service has logged, as the repository server keeps it: also what containers wrote that are gone. */
import pc from 'picocolors'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { Stage } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import type { LogWish } from './container-logs.ts'

/** Characters of YYYY/MM/DD HH:MM:SS. */
const timeLength = 19

/** `begun` is called with the first line. Throws HiveError 'unreachable' where the server does not answer, 'not-found' where it has no log of the service. */
export async function showCollectedLogs(
  app: App,
  stage: Stage,
  service: string,
  wish: LogWish & { readonly errors: boolean },
  begun: () => void,
): Promise<void> {
  const { signal, options: global } = app
  const repository = stage.site.hosts.find(({ isRepository }) => isRepository)
  if (repository === undefined) throw new HiveError('not-found', `stage ${stage.site.stage} has no repository server`)
  const client = await answering(stage.agents, repository.name, signal)
  const request = { service, errors: wish.errors, follow: wish.follow, tail: wish.tail, since: wish.since, grep: wish.grep?.source ?? '' }
  for await (const { at, line } of client.logs.read(request, { signal })) {
    begun()
    const rest = at === undefined ? line : line.slice(timeLength + 1)
    if (global.output === 'json') process.stdout.write(`${JSON.stringify({ service, host: repository.name, at, line: rest })}\n`)
    else process.stdout.write(at === undefined ? `${line}\n` : `${pc.dim(line.slice(0, timeLength))} ${rest}\n`)
  }
}
