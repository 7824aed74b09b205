/** Templates: imported, which Zabbix does by identities, so that only what differs is written. */
import type { Change, ZabbixApi } from './api.ts'

/** Nothing is deleted: what an operator added to a template stays. */
function rules(api: ZabbixApi) {
  const whole = { createMissing: true, updateExisting: true }
  const groups = api.atLeast(6, 2) ? { template_groups: whole, host_groups: whole } : { groups: whole }
  return {
    ...groups,
    ...{ templates: whole, items: whole, triggers: whole, graphs: whole, discoveryRules: whole, valueMaps: whole },
    templateLinkage: { createMissing: true },
  }
}

/** `source`: JSON in the export format of 6.0. */
export async function differingTemplates(api: ZabbixApi, source: string): Promise<readonly Change[]> {
  const request = { format: 'json', source, rules: rules(api) }
  const what = tellDifference(await api.call<unknown>('configuration.importcompare', request))
  return what === '' ? [] : [{ what: `templates: ${what}`, apply: () => api.call('configuration.import', request) }]
}

/** Kinds of things in Zabbix' answer, for people. */
const kinds: Readonly<Record<string, string>> = {
  templates: 'template',
  template_groups: 'group',
  host_groups: 'group',
  groups: 'group',
  items: 'item',
  triggers: 'trigger',
  discovery_rules: 'discovery rule',
  item_prototypes: 'item prototype',
  trigger_prototypes: 'trigger prototype',
  graph_prototypes: 'graph prototype',
  graphs: 'graph',
}

interface Entry {
  readonly before?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** importcompare's answer as one line: what is added, and by name what is changed; "" where nothing differs. Pure. */
export function tellDifference(difference: unknown): string {
  const added = new Map<string, number>()
  const changed: string[] = []
  const walk = (level: unknown): void => {
    if (!isObject(level)) return
    for (const [key, part] of Object.entries(level)) {
      const kind = kinds[key]
      if (kind === undefined || !isObject(part)) continue
      for (const entry of entriesOf(part['added'])) {
        count(kind, entry.after)
        walk(entry)
      }
      for (const entry of entriesOf(part['updated'])) {
        const fields = differingFields(entry)
        if (fields.length > 0) changed.push(`${kind} "${nameOf(entry)}" differs in ${fields.join(', ')}`)
        walk(entry)
      }
    }
  }
  /** What is new is told with all that is in it. */
  const count = (kind: string, after: unknown): void => {
    added.set(kind, (added.get(kind) ?? 0) + 1)
    if (!isObject(after)) return
    for (const [key, members] of Object.entries(after)) {
      const inner = kinds[key]
      if (inner !== undefined && key !== 'groups' && Array.isArray(members)) for (const member of members) count(inner, member)
    }
  }
  walk(difference)
  const counts = [...added].map(([kind, number]) => `${number} ${kind}${number === 1 ? '' : 's'}`)
  return [...(counts.length === 0 ? [] : [`${counts.join(', ')} to add`]), ...changed].join('; ')
}

const entriesOf = (value: unknown): readonly Entry[] => (Array.isArray(value) ? (value as Entry[]) : [])

const nameOf = ({ before = {}, after = {} }: Entry): string => String(before['name'] ?? after['name'] ?? before['key'] ?? '')

/** Members that are lists of things of their own are told by those. */
function differingFields({ before = {}, after = {} }: Entry): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].filter((name) => kinds[name] === undefined && canonical(before[name]) !== canonical(after[name])).sort()
}

/** Zabbix tells lists in an order of its own. */
const canonical = (value: unknown): string | undefined =>
  Array.isArray(value) ? JSON.stringify(value.map((one) => JSON.stringify(one)).sort()) : JSON.stringify(value)
