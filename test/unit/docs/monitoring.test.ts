import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { templates } from '../../../proto/monitoring/catalogue.ts'
import { catalogueTables } from '../../../proto/monitoring/tables.ts'

test('docs/monitoring-items.md has what the catalogue has: node packaging/monitoring-tables.mjs writes it', () => {
  const text = readFileSync(new URL('../../../docs/monitoring-items.md', import.meta.url), 'utf8')
  assert.ok(text.endsWith(catalogueTables(templates)))
})
