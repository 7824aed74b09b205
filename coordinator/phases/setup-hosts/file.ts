/** A file of root's that everybody may read. */
import type { File } from '#gen/hive/v1/steps_host.ts'

export const file = (path: string, content: string): File => ({
  path,
  content: Buffer.from(content),
  mode: 0o644,
  owner: '',
  group: '',
  secret: false,
  absent: false,
  system: '',
})
