import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder that is gone when the test is over. */
export function tempFolder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'coordinator-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}
