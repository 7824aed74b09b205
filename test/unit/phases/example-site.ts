/** A copy of the example site without its folder of base images, loaded for its private stage before the tests of a file and removed after them. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import type { Site } from '../../../coordinator/inventory/site.ts'
import type { Limit, PhaseInput } from '../../../coordinator/phases/phase.ts'

export const everything: Limit = { hosts: undefined, services: undefined, volumes: undefined }

export interface ExampleSite {
  site(): Site
  input<F>(facts: F, limit?: Limit, reapplyRoles?: boolean): PhaseInput<F>
}

export function exampleSite(): ExampleSite {
  let root = ''
  let loaded: Site | undefined
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'hive-example-'))
    await cp(fileURLToPath(new URL('../../../examples/pdns', import.meta.url)), root, { recursive: true, filter: (path) => !path.includes('/.hive') })
    await rm(join(root, 'inventory/group_vars/all.yml'))
    loaded = await loadSite({ root, stage: 'private' })
  })
  after(() => rm(root, { recursive: true, force: true }))
  const site = (): Site => {
    assert.ok(loaded)
    return loaded
  }
  return {
    site,
    input: (facts, limit = everything, reapplyRoles = false) => ({
      site: site(),
      limit,
      facts,
      reapplyRoles,
      state: { get: () => undefined, set: () => undefined },
    }),
  }
}
