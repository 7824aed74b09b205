/** Lines of services that their monitor_error matches, as the log server writes them. */
import type { Collector } from '../collector.ts'
import { readTail, type TailMark } from '../tail.ts'

const markName = 'error lines'
/** A first look tells what a new server has logged, and not what an old one has since ever. */
const firstBytes = 1024 * 1024
const told = 2000

export const errorLines = (path = '/var/log/service-error.log'): Collector => ({
  name: 'error lines of services',
  every: 60,
  concerns: ({ repository }) => repository,
  async collect({ mark }) {
    const tail = await readTail(path, mark(markName) as TailMark | undefined, { firstBytes, lines: told })
    const more = tail.leftOut > 0 ? [`and ${tail.leftOut} more lines`] : []
    return {
      samples: [
        ...[...tail.lines, ...more].map((value) => ({ key: 'hive.service.error', value })),
        { key: 'hive.service.errors', value: tail.lines.length + tail.leftOut },
      ],
      marks: tail.mark === undefined ? {} : { [markName]: tail.mark },
    }
  },
})
