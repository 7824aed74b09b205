import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildOrder, contentTag, type TagInput, visibleVariables } from '../../../coordinator/ansible/content-tag.ts'
import type { Image } from '../../../coordinator/inventory/site.ts'

const file = (path: string, text: string, executable = false) => ({ path, executable, content: Buffer.from(text), link: undefined })

const role = (name: string, ...files: ReturnType<typeof file>[]) => [name, { name, builtIn: false, files }] as const

const input = (change: Partial<TagInput> = {}): TagInput => ({
  from: 'debian:12',
  fromContent: '0123456789ab',
  attributes: { environment: { A: '1' }, user: undefined },
  roles: ['web'],
  roleFiles: { roles: new Map([role('web', file('tasks/main.yml', '- debug: msg={{ greeting }}'))]), open: false, missing: [] },
  shared: [],
  contextFiles: new Map(),
  host: 'image_web',
  inventory: {
    groups: { images: ['image_web'] },
    hostVariables: { image_web: { greeting: 'hello', unrelated: 1 }, other: { x: 1 } },
    extraVariables: { hive_stage: 'private' },
  },
  ...change,
})

const withText = (text: string, change: Partial<TagInput> = {}): TagInput =>
  input({ roleFiles: { roles: new Map([role('web', file('tasks/main.yml', text))]), open: false, missing: [] }, ...change })

const variables = (image_web: Record<string, unknown>, more: Record<string, Record<string, unknown>> = {}): Partial<TagInput> => ({
  inventory: { groups: {}, hostVariables: { image_web, ...more }, extraVariables: {} },
})

const shuffled = (seed: readonly number[], names: readonly string[]): string[] =>
  [...names].sort((a, b) => (seed[names.indexOf(a)] ?? 0) - (seed[names.indexOf(b)] ?? 0))

test('the order in which files and variables are found does not change the tag', () => {
  const entries = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.string()), { selector: ([name]) => name, maxLength: 8 })
  fc.assert(
    fc.property(entries, fc.array(fc.integer(), { minLength: 8, maxLength: 8 }), (found, seed) => {
      const tagOf = (names: readonly string[]): string => {
        const of = new Map(found)
        const files = names.map((name) => file(`files/${name}`, `${of.get(name) ?? ''} vars[x]`))
        return contentTag(
          input({
            roleFiles: { roles: new Map([role('web', ...files)]), open: false, missing: [] },
            ...variables(Object.fromEntries(names.map((name) => [name, of.get(name)]))),
          }),
        )
      }
      const names = found.map(([name]) => name)
      assert.equal(tagOf(names), tagOf(shuffled(seed, names)))
    }),
  )
})

test('any change of a role file gives another tag', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      assert.equal(contentTag(withText(one)) === contentTag(withText(other)), one === other)
    }),
  )
})

test('a tag is twelve hexadecimal digits', () => assert.match(contentTag(input()), /^[0-9a-f]{12}$/))

test('base, attributes, roles, their order and executable bits count', () => {
  const tags = [
    input(),
    input({ from: 'debian:13' }),
    input({ fromContent: 'ffffffffffff' }),
    input({ attributes: { environment: { A: '2' } } }),
    input({ attributes: { environment: { A: '1' }, user: 'nobody' } }),
    input({ roles: ['web', 'web'] }),
    input({ shared: [file('lib/module.py', '')] }),
    input({ roleFiles: { roles: new Map([role('web', file('tasks/main.yml', '- debug: msg={{ greeting }}', true))]), open: false, missing: [] } }),
  ].map(contentTag)
  assert.equal(new Set(tags).size, tags.length)
})

test('an attribute that is not set is as one that is not there', () => {
  assert.equal(contentTag(input({ attributes: { a: 1, b: undefined } })), contentTag(input({ attributes: { a: 1 } })))
})

test('only variables that a role names count, through the templates of others too', () => {
  const base = contentTag(withText('{{ page }}', variables({ page: '{{ title }}', title: 'one', unrelated: 1 })))
  assert.equal(contentTag(withText('{{ page }}', variables({ page: '{{ title }}', title: 'one', unrelated: 2 }))), base)
  assert.notEqual(contentTag(withText('{{ page }}', variables({ page: '{{ title }}', title: 'two', unrelated: 1 }))), base)
})

test('a role that makes up names of variables sees them all', () => {
  assert.deepEqual(visibleVariables({ a: 1, b: 2 }, "{{ lookup('vars', 'hive_' + x) }}"), { a: 1, b: 2 })
  assert.deepEqual(visibleVariables({ a: 1, b: 2 }, '{{ b }}'), { b: 2 })
})

test('variables of other hosts count for roles that look at other hosts', () => {
  const other = (x: number): Partial<TagInput> => variables({}, { other: { x } })
  assert.notEqual(contentTag(withText("{{ hostvars['other'].x }}", other(1))), contentTag(withText("{{ hostvars['other'].x }}", other(2))))
  assert.notEqual(contentTag(withText("{{ groups['services'] }}", other(1))), contentTag(withText("{{ groups['services'] }}", other(2))))
  assert.equal(contentTag(withText('- user: groups: wheel', other(1))), contentTag(withText('- user: groups: wheel', other(2))))
})

test('a file of the stage counts for roles that name it', () => {
  const ca = (text: string): Partial<TagInput> => ({ contextFiles: new Map([['ca/cacert.pem', Buffer.from(text)]]) })
  assert.notEqual(contentTag(withText('lookup cacert.pem', ca('a'))), contentTag(withText('lookup cacert.pem', ca('b'))))
  assert.equal(contentTag(withText('nothing', ca('a'))), contentTag(withText('nothing', ca('b'))))
})

const image = (service: string, from: string): Image =>
  ({ name: `image_${service}`, service, from, repository: `reg:5000/image_${service}`, stages: ['private'], pullFrom: undefined }) as unknown as Image
const site = (...images: Image[]) =>
  ({
    images,
    stage: 'private',
    registry: {
      host: 'reg',
      port: 5000,
      user: '',
      password: '',
      image: 'registry:2',
      inContainer: false,
      keep: 5,
      upkeepAt: '03:30',
      cache: undefined,
      pulledFrom: [],
    },
  }) as const

test('an image is built after the one that it is made from', () => {
  const ordered = buildOrder(site(image('c', 'reg:5000/image_b'), image('b', 'reg:5000/image_a:latest'), image('a', 'debian:12')))
  assert.deepEqual(
    ordered.map(({ service }) => service),
    ['a', 'b', 'c'],
  )
})

test('images made from each other are refused', () => {
  assert.throws(() => buildOrder(site(image('a', 'reg:5000/image_b'), image('b', 'reg:5000/image_a'))), /circle: image_a ← image_b ← image_a/)
})
