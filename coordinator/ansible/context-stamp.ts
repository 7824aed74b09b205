/** The stage's files that builds depend on and that an early phase makes: what was worked out without them is stale then. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

export const stageFiles = ['ca/cacert.pem', 'registry_password'] as const

/** Changes when one of these files appears or is replaced. */
export async function contextStamp(contextDir: string): Promise<string> {
  const seen = await Promise.all(stageFiles.map((name) => stat(join(contextDir, name)).catch(() => undefined)))
  return seen.map((file) => (file === undefined ? '-' : `${file.size}@${file.mtimeMs}`)).join(' ')
}
