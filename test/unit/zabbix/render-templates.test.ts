import assert from 'node:assert/strict'
import { test } from 'node:test'
import { itemsIn, onlyItem, renderTemplates } from '../../../coordinator/zabbix/render-template.ts'
import { templates } from '../../../proto/monitoring/catalogue.ts'

interface Entry {
  readonly uuid: string
  readonly key?: string
  readonly name: string
  readonly triggers?: readonly Entry[]
  readonly items?: readonly Entry[]
  readonly discovery_rules?: readonly Entry[]
  readonly dependencies?: readonly { readonly name: string; readonly expression: string; readonly recovery_expression?: string }[]
  readonly expression?: string
  readonly delay?: string
  readonly lifetime?: string
}

const read = (pace?: number) =>
  (JSON.parse(renderTemplates(templates, pace)) as { zabbix_export: { version: string; templates: Entry[]; triggers?: Entry[] } }).zabbix_export

/** Every object of the document that has a uuid. */
function* entries(value: unknown): Generator<Entry> {
  if (typeof value !== 'object' || value === null) return
  if ('uuid' in value && 'name' in value) yield value as Entry
  for (const member of Object.values(value)) yield* entries(member)
}

test('identities are there once each, in the form of a UUID of version 4', () => {
  const uuids = [...entries(read())].map(({ uuid }) => uuid)
  assert.ok(uuids.length > 150)
  assert.deepEqual(
    uuids.filter((uuid) => !/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(uuid)),
    [],
  )
  assert.equal(new Set(uuids).size, uuids.length)
})

test('a trigger of one item is with that item, one of several at the top; all that it depends on is in the document', () => {
  const document = read()
  for (const trigger of document.triggers ?? []) assert.ok(itemsIn(trigger.expression ?? '').size > 1, trigger.name)
  const known = new Set([...entries(document)].map(({ name, expression = '' }) => `${name} ${expression}`))
  for (const { name, dependencies = [] } of entries(document))
    for (const dependency of dependencies) assert.ok(known.has(`${dependency.name} ${dependency.expression}`), `${name} depends on ${dependency.name}`)
})

test('keys are found whatever their parameters hold', () => {
  assert.deepEqual(
    [...itemsIn('last(/Hive Swarm/hive.a[{#S},"x]y"])<min(/Hive Swarm/hive.b,5m) and avg(last_foreach(//hive.c[*]))>0 and last(/Hive Swarm/hive.b)=1')],
    ['hive.a[{#S},"x]y"]', 'hive.b', 'hive.c[*]'],
  )
  assert.equal(onlyItem({ expression: 'last(/T/hive.a)>1 and nodata(/T/hive.a,3m)=0' }), 'hive.a')
  assert.equal(onlyItem({ expression: 'last(/T/hive.a)>1', recovery: 'last(/T/hive.b)>1' }), undefined)
})

test('calculated items follow the pace of the site, and what nobody has to say is left out', () => {
  const cpu = (pace?: number) => [...entries(read(pace))].find(({ key }) => key === 'hive.service.cpu[{#SERVICE_NAME}]')
  assert.equal(cpu()?.delay, undefined)
  assert.equal(cpu(5)?.delay, '5m')
  assert.ok([...entries(read())].every(({ lifetime }) => lifetime === undefined || lifetime.endsWith('h')))
})
