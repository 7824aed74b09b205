/** What SELinux denied, from the audit log. */
import { exists } from '../../../adapters/files.ts'
import type { Collector } from '../collector.ts'
import { readTail, type TailMark } from '../tail.ts'

const markName = 'SELinux'
const told = 10

export const isDenial = (line: string): boolean => /^type=(AVC|USER_AVC)\b.*\bavc: +denied\b/.test(line)

export const selinux = (path = '/var/log/audit/audit.log', sign = '/sys/fs/selinux/enforce'): Collector => ({
  name: 'SELinux',
  every: 600,
  async collect({ mark }) {
    if (!(await exists(sign))) return []
    const tail = await readTail(path, mark(markName) as TailMark | undefined, { firstBytes: 0, lines: told, bytes: 32 * 1024 * 1024, matches: isDenial })
    return {
      samples: [
        ...tail.lines.map((value) => ({ key: 'hive.selinux.denied', value })),
        { key: 'hive.selinux.denials', value: tail.lines.length + tail.leftOut },
      ],
      marks: tail.mark === undefined ? {} : { [markName]: tail.mark },
    }
  },
})
