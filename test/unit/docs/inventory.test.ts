import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { networkAttributes, serviceAttributes } from '../../../coordinator/inventory/definitions.ts'
import { imageAttributes } from '../../../coordinator/inventory/image-definition.ts'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { inventoryReference, referenceExamples, referenceNames } from '../../../coordinator/inventory/reference/reference.ts'
import { serviceReference } from '../../../coordinator/inventory/reference/service.ts'
import { builtinRoles } from '../../../coordinator/inventory/roles.ts'
import { stageAttributes } from '../../../coordinator/inventory/stage-reader.ts'
import { providerNames } from '../../../coordinator/inventory/stages.ts'
import { siteFolder } from '../inventory/site-folder.ts'

const root = new URL('../../..', import.meta.url).pathname
/** Names of plugins and kinds, what is set by `hivecoord set`, and what is derived for roles. */
const ofTheProgram: ReadonlySet<string> = new Set([
  'hive_inventory',
  'hive_services',
  'hive_volume',
  'hive_tls_logging',
  'hive_email',
  'hive_need_libselinux',
  'hive_private_key_path',
  'hive_public_key_path',
  'hive_python_revision',
  'hive_safe_admin',
  'hive_safe_private_key_path',
  'hive_safe_python_revision',
  'hive_swarm_master',
])

const read = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
const text = read('inventory-reference.md')
const missing = (names: readonly string[], where = text): readonly string[] => names.filter((name) => !where.includes(`\`${name}\``))

const section = (from: string, to: string): string => text.slice(text.indexOf(from), text.indexOf(to))

describe('docs/inventory-reference.md', () => {
  it('names every attribute of a stage', () => assert.deepEqual(missing(stageAttributes, section('## The hive definition', '## Services')), []))
  it('names every provider', () => assert.deepEqual(missing(providerNames), []))
  it('names every attribute of a service', () => assert.deepEqual(missing(serviceAttributes, section('## Services', '### An image that is built')), []))
  it('names every attribute of an image that is built', () =>
    assert.deepEqual(missing(imageAttributes, section('### An image that is built', '### A port')), []))

  it('names no attribute of a stage that the program does not know', () => {
    const rows = section('## The hive definition', '## Services').match(/^\| `[^|]*/gm) ?? []
    const named = rows.flatMap((row) => [...row.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name ?? ''))
    assert.deepEqual(
      named.filter((name) => !stageAttributes.includes(name)),
      [],
    )
  })

  it('is what `npm run docs` writes', () => assert.equal(text, inventoryReference()))

  it('names every variable that the inventory is asked for', () => {
    const sources = globSync('coordinator/inventory/*.ts', { cwd: root }).map((file) => readFileSync(`${root}/${file}`, 'utf8'))
    const asked = new Set(sources.flatMap((source) => [...source.matchAll(/'(hive_[a-z0-9_]+)'/g)].map(([, name = '']) => name)))
    assert.ok(asked.size > 80)
    const attributes = new Set<string>([...serviceAttributes, ...imageAttributes, ...stageAttributes, ...networkAttributes].map((name) => `hive_${name}`))
    const guide = read('inventory.md') + text
    assert.deepEqual(
      [...asked].filter((name) => !referenceNames.has(name) && !attributes.has(name) && !ofTheProgram.has(name) && !guide.includes(`\`${name}\``)).sort(),
      [],
    )
  })

  it('has examples that are YAML, each of its own key', () => {
    for (const [key, example] of referenceExamples) assert.deepEqual(Object.keys(parse(example) as object), [key], example)
  })

  it('has examples that an inventory takes', async (context) => {
    const of = (entries: Readonly<Record<string, { readonly example: string }>>, without: readonly string[] = []): string =>
      Object.entries(entries)
        .filter(([key]) => !without.includes(key))
        .map(([, { example }]) => `    ${example}\n`)
        .join('')
    const folder = siteFolder(context, {
      'inventory/hive.yml': 'plugin: hive_inventory\nname: example.org\nstages:\n  private: {provider: nspawn, cidr: 10.90.0.0/24}\n',
      'inventory/services.yml': [
        'plugin: hive_services\nservices:\n  web:\n',
        of(serviceReference, [
          'available_on',
          'replicas',
          'secrets',
          'networks',
          'endpoint_mode',
          'initialize_roles',
          'rollback_config',
          'labels',
          'placement',
        ]),
      ].join(''),
    })
    const { services } = await loadSite({ root: folder, env: {} })
    assert.deepEqual(
      services.map(({ name }) => name),
      ['web'],
    )
  })

  it('has all built-in roles told in images.md', () => assert.deepEqual(missing(builtinRoles, read('images.md')), []))
})
