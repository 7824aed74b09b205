import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { namedReferences } from '../../../coordinator/images/named-references.ts'
import { site } from '../phases/sample-site.ts'

test('tag mappings of all stages, pins of other stages, and what images are pulled from are named; other registries are not', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'hive-named-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const put = (stage: string, file: string, content: string): void => {
    mkdirSync(join(folder, stage), { recursive: true })
    writeFileSync(join(folder, stage, file), content)
  }
  const reg = 's-hive3.site:5000'
  put('staging', 'tag-mapping.json', JSON.stringify({ a: `${reg}/image_web:mapped`, b: 'mariadb:10' }))
  put('staging', 'state.json', JSON.stringify({ [`image-digest ${reg}/own:1`]: 'sha256:own' }))
  put('production', 'tag-mapping.json', JSON.stringify({ a: `${reg}/image_web@sha256:there` }))
  put(
    'production',
    'state.json',
    JSON.stringify({ [`image-digest ${reg}/image_app:latest`]: 'sha256:pinned', 'image-held web': { reference: `${reg}/image_web:held` }, 'node-ids': {} }),
  )
  put('private', 'tag-mapping.json', 'damaged')
  const { registry } = site()
  const made = site({ contextDir: join(folder, 'staging'), registry: { ...registry, pulledFrom: [`${reg}/image_app:promoted`, 'quay.io/x:1'] } })
  assert.deepEqual(namedReferences(made), [
    `${reg}/image_app:promoted`,
    `${reg}/image_app@sha256:pinned`,
    `${reg}/image_web:held`,
    `${reg}/image_web:mapped`,
    `${reg}/image_web@sha256:there`,
  ])
})
