/** Short ways to write the catalogue: identities and what most entries have in common. */
import { createHash } from 'node:crypto'
import type { Discovery, Graph, Item, Template, Trigger } from './types.ts'

type Text = Item['description']

/** The same text, the same identity: Zabbix knows by it what an import changes. */
export function stableUuid(...path: readonly string[]): string {
  const hash = createHash('sha256').update(path.join('\0')).digest('hex')
  return `${hash.slice(0, 12)}4${hash.slice(13, 16)}8${hash.slice(17, 32)}`
}

type ItemDefinition = Omit<Item, 'uuid' | 'history' | 'trends' | 'description'> & {
  readonly history?: string
  readonly trends?: string
  readonly description?: Text
}
type TriggerDefinition = Omit<Trigger, 'uuid'>
type DiscoveryDefinition = Omit<Discovery, 'uuid' | 'items' | 'triggers' | 'graphs' | 'lifetime'> & {
  readonly items: readonly ItemDefinition[]
  /** They may depend on one another: made one after the other, from the ones before by name. */
  readonly triggers?: readonly Trigger[]
  readonly graphs?: readonly Omit<Graph, 'uuid'>[]
  readonly lifetime?: string
}

/** Makers of one template's entries. */
export interface Definer {
  item(definition: ItemDefinition): Item
  /** `discovery`: key of the rule that it belongs to. */
  trigger(definition: TriggerDefinition & { readonly discovery?: string }): Trigger
  discovery(definition: DiscoveryDefinition): Discovery
  template(parts: Pick<Template, 'description' | 'macros' | 'items' | 'discoveries' | 'triggers'>): Template
}

export function defineFor(name: string): Definer {
  const item = (definition: ItemDefinition): Item => {
    const number = definition.valueType === 'float' || definition.valueType === 'unsigned'
    return {
      history: definition.valueType === 'log' ? '90d' : '14d',
      trends: number ? '365d' : '0',
      description: '',
      ...definition,
      uuid: stableUuid(name, 'item', definition.key),
    }
  }
  return {
    item,
    trigger: ({ discovery, ...definition }) => ({ ...definition, uuid: stableUuid(name, 'trigger', discovery ?? '', definition.name) }),
    discovery: ({ items, triggers, graphs, lifetime, ...definition }) => ({
      ...definition,
      lifetime: lifetime ?? '7d',
      uuid: stableUuid(name, 'discovery', definition.key),
      items: items.map((one) => ({ ...item(one), uuid: stableUuid(name, 'prototype', one.key) })),
      triggers: triggers ?? [],
      graphs: (graphs ?? []).map((graph) => ({ ...graph, uuid: stableUuid(name, 'graph', definition.key, graph.name) })),
    }),
    template: (parts) => ({ ...parts, name, uuid: stableUuid(name, 'template') }),
  }
}
