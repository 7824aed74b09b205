/** Logs that were collected on this host. Nothing but those of services is read, whatever the caller asks for. */
import { LogServiceService } from '#gen/hive/v1/logs.ts'
import { HiveError } from '../../proto/errors.ts'
import { errorLog, isServiceName, logPath } from '../../proto/log-files.ts'
import { followTimeZone } from '../adapters/time-zone.ts'
import { readLog } from './logs/read-log.ts'
import { timeOfLine } from './logs/wanted-lines.ts'
import { type ServiceRegistration, service } from './service.ts'

/** Lines that are kept in memory to know which are the last. */
const mostLast = 100_000

export const logService = (): ServiceRegistration =>
  service(LogServiceService, {
    async *read({ service: name, errors, follow, tail, since, grep }, { signal }) {
      if (!isServiceName(name)) throw new HiveError('invalid-input', `"${name}" is no name of a service`)
      if (tail > mostLast)
        throw new HiveError('invalid-input', `the last ${tail} lines are too many`, { hint: `at most ${mostLast}, or all of them since a time` })
      // Lines have the host's time.
      await followTimeZone()
      const file = errors ? errorLog : logPath(name)
      const lines = await readLog({ file, errorsOf: errors ? name : undefined, tail, since, grep, follow }, signal)
      if (lines === undefined) {
        if (errors) return
        throw new HiveError('not-found', `nothing of ${name} was logged here: there is no ${file}`)
      }
      for await (const line of lines) yield { at: timeOfLine(line), line }
    },
  })
