/** The catalogue holds together: what its triggers and formulas name is there, and what agents send it has. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { templates } from '../../../proto/monitoring/catalogue.ts'
import { stableUuid } from '../../../proto/monitoring/define.ts'
import type { Discovery, Template, Trigger } from '../../../proto/monitoring/types.ts'

const named = new Map(templates.map((template) => [template.name, template]))
const triggersOf = ({ triggers, discoveries }: Template): readonly Trigger[] => [...triggers, ...discoveries.flatMap((discovery) => discovery.triggers)]
/** TEMPLATE and KEY of every item that an expression names. */
const itemsIn = (expression: string): readonly { readonly template: string; readonly key: string }[] =>
  [...expression.matchAll(/\(\/([^/]+)\/((?:[\w.]+)(?:\[[^\]]*\])?)/g)].map(([, template = '', key = '']) => ({ template, key }))

for (const template of templates) {
  describe(template.name, () => {
    const plain = new Set(template.items.map(({ key }) => key))
    const scopes: readonly (readonly [Trigger, Discovery | undefined])[] = [
      ...template.triggers.map((trigger) => [trigger, undefined] as const),
      ...template.discoveries.flatMap((discovery) => discovery.triggers.map((trigger) => [trigger, discovery] as const)),
    ]

    test('triggers name items of the template, prototypes one of their own rule', () => {
      for (const [{ name, expression, recovery }, discovery] of scopes) {
        const items = itemsIn(`${expression} ${recovery ?? ''}`)
        assert.ok(items.length > 0, name)
        const own = new Set(discovery?.items.map(({ key }) => key))
        for (const item of items) {
          assert.equal(item.template, template.name, name)
          assert.ok(plain.has(item.key) || own.has(item.key), `${name}: ${item.key}`)
        }
        if (discovery !== undefined)
          assert.ok(
            items.some(({ key }) => own.has(key)),
            name,
          )
      }
    })

    test('macros are defined, and each is used', () => {
      const known = new Set(template.macros.map(({ name }) => name))
      const own = triggersOf(template).map(({ dependsOn: _, ...trigger }) => trigger)
      const texts = JSON.stringify([own, template.discoveries.map(({ items }) => items)])
      const used = new Set([...texts.matchAll(/\{\$[A-Z0-9_.]+/g)].map(([macro]) => `${macro}}`))
      assert.deepEqual(
        [...used].filter((macro) => !known.has(macro)),
        [],
      )
      assert.deepEqual(
        [...known].filter((macro) => !used.has(macro)),
        [],
      )
      for (const { name, description } of template.macros) assert.notEqual(description, '', name)
    })

    test('what is discovered has its macros in every key', () => {
      for (const { key, macros, items, triggers } of template.discoveries) {
        const inKeys = macros.filter((macro) => items.some((item) => item.key.includes(macro)))
        assert.ok(inKeys.length > 0, key)
        for (const item of items)
          assert.deepEqual(
            [...item.key.matchAll(/\{#\w+\}/g)].map(([macro]) => macro),
            inKeys,
            item.key,
          )
        for (const trigger of triggers)
          for (const [macro] of `${trigger.name}${trigger.description}`.matchAll(/\{#\w+\}/g)) assert.ok(macros.includes(macro), trigger.name)
      }
    })

    test("graphs are of the rule's items", () => {
      for (const { items, graphs } of template.discoveries)
        for (const graph of graphs)
          for (const key of graph.keys)
            assert.ok(
              items.some((item) => item.key === key),
              key,
            )
    })

    test('every trigger recovers by itself and waits for the one of a silent host', () => {
      for (const [{ name, dependsOn = [] }] of scopes) {
        const root = template.name === 'Hive Swarm' ? 'Swarm has had no leader' : 'Agent was not heard'
        assert.ok(name.startsWith(root) || dependsOn.some((one) => one.name.startsWith(root)), name)
      }
    })

    test('a trigger depends on none that comes later', () => {
      const before = templates.slice(0, templates.indexOf(template)).flatMap(triggersOf)
      const seen = new Set(before)
      for (const [trigger] of scopes) {
        for (const other of trigger.dependsOn ?? []) assert.ok(seen.has(other), `${trigger.name} depends on ${other.name}`)
        seen.add(trigger)
      }
    })

    test('numbers have trends, texts have none', () => {
      for (const item of [...template.items, ...template.discoveries.flatMap(({ items }) => items)])
        if (!['float', 'unsigned'].includes(item.valueType)) assert.equal(item.trends, '0', item.key)
    })
  })
}

test('identities are unlike, and of the form that Zabbix takes', () => {
  const all = templates.flatMap((template) => [
    template.uuid,
    ...template.items.map(({ uuid }) => uuid),
    ...triggersOf(template).map(({ uuid }) => uuid),
    ...template.discoveries.flatMap(({ uuid, items, graphs }) => [uuid, ...items.map((item) => item.uuid), ...graphs.map((graph) => graph.uuid)]),
  ])
  assert.equal(new Set(all).size, all.length)
  for (const uuid of all) assert.match(uuid, /^[0-9a-f]{12}4[0-9a-f]{3}8[0-9a-f]{15}$/)
  // They never change: Zabbix would delete an item with its history and make another one.
  assert.equal(named.get('Hive Linux')?.uuid, stableUuid('Hive Linux', 'template'))
  assert.equal(stableUuid('Hive Linux', 'item', 'hive.agent.ping'), 'a62f5bdccc8d4cce8a752606d90c1dd6')
})
