import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { serviceAttributes } from '../../../coordinator/inventory/definitions.ts'
import { imageAttributes } from '../../../coordinator/inventory/image-definition.ts'
import { builtinRoles } from '../../../coordinator/inventory/roles.ts'
import { stageAttributes } from '../../../coordinator/inventory/stage-reader.ts'
import { providerNames } from '../../../coordinator/inventory/stages.ts'

const read = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
const text = read('inventory.md')
const missing = (names: readonly string[], where = text): readonly string[] => names.filter((name) => !where.includes(`\`${name}\``))

const section = (from: string, to: string): string => text.slice(text.indexOf(from), text.indexOf(to))

describe('docs/inventory.md', () => {
  it('names every attribute of a stage', () => assert.deepEqual(missing(stageAttributes, section('## Hive definition', '## Services')), []))
  it('names every provider', () => assert.deepEqual(missing(providerNames), []))
  it('names every attribute of a service', () => assert.deepEqual(missing(serviceAttributes, section('## Services', 'A port is')), []))
  it('names every attribute of an image that is built', () => assert.deepEqual(missing(imageAttributes, section('An image that is built', 'A network is')), []))

  it('names no attribute of a stage that the program does not know', () => {
    const rows = section('## Hive definition', '## Services').match(/^\| `[^|]*/gm) ?? []
    const named = rows.flatMap((row) => [...row.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name ?? ''))
    assert.deepEqual(
      named.filter((name) => !stageAttributes.includes(name)),
      [],
    )
  })

  it('has all built-in roles told in images.md', () => assert.deepEqual(missing(builtinRoles, read('images.md')), []))
})
