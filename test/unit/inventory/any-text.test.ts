import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { InventoryError } from '../../../coordinator/inventory/problems.ts'
import { inventoryJson, inventoryText } from '../../../coordinator/inventory/render-inventory.ts'
import { stageNames } from '../../../coordinator/inventory/site.ts'
import { siteFolder } from './site-folder.ts'

const fixtures = join(import.meta.dirname, '../../fixtures/sites')

/** Values that are not what an attribute expects, or that are hard on a reader. */
const oddValues = [
  ...['~', '""', '[]', '{}', 'yes', '0', '-1', '1e400', '99999999999999999999', '0x1F', '010', '.nan', '.inf', '53:53', '2001-01-01', 'é日本', '.', '/', 'a=b'],
  ...['!unsafe "{{ x }}"', '!vault x', '!!binary aGk=', '*x', '&x [*x]', '&a {b: *a}', '{<<: 5}', '{<<: [1, {a: 2}]}', '|', '? [a]', '[[[[]]]]', '@x', '\t'],
  ...[
    '"{{ x"',
    '"{% for x in y %}"',
    '"{{ [1, 2] }}"',
    '"{{ omit }}"',
    '"{{ 1 / 0 }}"',
    '"{{ range(10 ** 9) }}"',
    '"{{ \'a\' * 10 ** 9 }}"',
    '"{{ hostvars }}"',
  ],
  ...['10.0.0.0/0', '10.0.0.0/8', '1000000000', '::1/64', '300.1.1.1/24', '__proto__', 'constructor'],
]
const oddKeys = ['__proto__', 'constructor', 'toString', '1', 'true', 'x y', '<<', 'ünï', '"{{ a }}"', '? a']

interface Change {
  readonly kind: 'value' | 'key' | 'drop' | 'repeat' | 'indent' | 'outdent' | 'tab' | 'cut' | 'merge' | 'document' | 'swap'
  readonly at: number
  readonly value: string
  readonly key: string
}

const apply = (lines: string[], { kind, at, value, key }: Change): void => {
  const index = at % Math.max(1, lines.length)
  const line = lines[index] ?? ''
  const indent = /^\s*/.exec(line)?.[0] ?? ''
  const changed: Readonly<Record<Change['kind'], () => readonly string[]>> = {
    value: () => [/^\s*(?:- )?[^:#]+:/.test(line) ? line.replace(/^(\s*(?:- )?[^:#]+:).*$/, (_, head: string) => `${head} ${value}`) : indent + value],
    key: () => [line.replace(/[^\s:-]+(?=:)/, key)],
    drop: () => [],
    repeat: () => [line, line],
    indent: () => [` ${line}`],
    outdent: () => [line.replace(/^ /, '')],
    tab: () => [line.replace(/^ +/, '\t')],
    cut: () => [line.slice(0, at % (line.length + 1))],
    merge: () => [`${indent}<<: ${value}`, line],
    document: () => ['---', line],
    swap: () => [lines[(at * 7) % lines.length] ?? '', line],
  }
  lines.splice(index, 1, ...changed[kind]())
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom<Change['kind'][]>(
    'value',
    'value',
    'value',
    'value',
    'key',
    'drop',
    'repeat',
    'indent',
    'outdent',
    'tab',
    'cut',
    'merge',
    'document',
    'swap',
  ),
  at: fc.nat(500),
  value: fc.constantFrom(...oddValues),
  key: fc.constantFrom(...oddKeys),
})

const filesOf = (site: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(fixtures, site, 'inventory'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(join(fixtures, site), path), readFileSync(path, 'utf8')]),
  )

describe('an inventory of any text', () => {
  for (const site of ['pdns', 'gate']) {
    test(`${site}, damaged: it is read, or every mistake has a place`, async (context) => {
      const files = filesOf(site)
      const root = siteFolder(context, files)
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...Object.keys(files)),
          fc.array(change, { minLength: 1, maxLength: 3 }),
          fc.constantFrom('\n', '\r\n'),
          fc.constantFrom('', '\ufeff'),
          fc.constantFrom(...stageNames),
          async (file, changes, newline, mark, stage) => {
            const lines = (files[file] ?? '').split('\n')
            for (const one of changes) apply(lines, one)
            writeFileSync(join(root, file), mark + lines.join(newline))
            try {
              const loaded = await loadSite({ root, stage, env: {} })
              inventoryJson(loaded)
              inventoryText(loaded)
            } catch (thrown) {
              if (!(thrown instanceof InventoryError)) throw thrown
              for (const problem of thrown.problems) {
                assert.ok(problem.file !== '' && problem.line >= 1 && problem.column >= 1, JSON.stringify(problem))
                assert.doesNotMatch(problem.message, /\[object|undefined'|^undefined/)
              }
            } finally {
              writeFileSync(join(root, file), files[file] ?? '')
            }
          },
        ),
        { numRuns: 60, seed: 20 },
      )
    })
  }

  for (const [name, text] of Object.entries({
    nothing: '',
    'a comment': '# nothing\n',
    'a number': '5',
    'a list': '- a\n',
    'a NUL': '\u0000',
    binary: '\u0001\ufffd\u0002',
  })) {
    test(`${name} instead of each file`, async (context) => {
      const files = filesOf('gate')
      const root = siteFolder(context, files)
      for (const file of Object.keys(files)) {
        writeFileSync(join(root, file), text)
        await assert.doesNotReject(
          loadSite({ root, stage: 'staging', env: {} }).catch((thrown: unknown) => assert.ok(thrown instanceof InventoryError, String(thrown))),
        )
        writeFileSync(join(root, file), files[file] ?? '')
      }
    })
  }
})
