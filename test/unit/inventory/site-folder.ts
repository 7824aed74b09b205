import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { InventoryError, type Problem } from '../../../coordinator/inventory/problems.ts'

export const hive = `plugin: hive_inventory
name: test.example.com
stages:
  private:
    provider: nspawn
    cidr: 10.88.0.0/24
    separate_repository: True
    number_of_hosts: 4
`

/** A site folder with these files, removed after the test. `inventory/hive.yml` is a small private stage unless given. */
export const siteFolder = (context: TestContext, files: Readonly<Record<string, string>>): string => {
  const root = mkdtempSync(join(tmpdir(), 'hive-inventory-'))
  context.after(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, content] of Object.entries({ 'inventory/hive.yml': hive, ...files })) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
  return root
}

/** A services file with these service bodies, indented by two. */
export const services = (bodies: string): string => `plugin: hive_services\nservices:\n${bodies.replace(/^(?=.)/gm, '  ')}`

export const problemsOf = async (load: Promise<unknown>): Promise<readonly Problem[]> => {
  try {
    await load
  } catch (thrown) {
    if (thrown instanceof InventoryError) return thrown.problems
    throw thrown
  }
  return []
}
