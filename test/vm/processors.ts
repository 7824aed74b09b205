/** The processors that this process may use, by their numbers. */
import { readFileSync } from 'node:fs'

/** `status`: of a process, as proc(5) has it. */
export function processors(status = readFileSync('/proc/self/status', 'utf8')): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
