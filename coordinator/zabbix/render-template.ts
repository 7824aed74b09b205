/** Templates of the catalogue as Zabbix imports them: JSON in the export format of 6.0, which later versions take too. Pure. */
import { stableUuid } from '../../proto/monitoring/define.ts'
import type { Discovery, Graph, Item, Severity, Template, Trigger } from '../../proto/monitoring/types.ts'

export const templateGroup = 'Templates/Hive'

/** Colours of a graph's lines, in turn. */
const colours = ['1A7C11', 'F63100', '2774A4', 'A54F10', 'FC6EA3', '6C59DC', 'AC8C14', '611F27', 'F230E0', '5CCD18']

const severities: Readonly<Record<Severity, string>> = { info: 'INFO', warning: 'WARNING', average: 'AVERAGE', high: 'HIGH', disaster: 'DISASTER' }

/**
 * All in one: dependencies of a discovery rule's triggers on those of another template are only found within an import (6.0.14). `pace`:
 * what the intervals of calculated items are multiplied with, where a site reports at another pace than every 60 seconds. Keys that say
 * what Zabbix takes anyway are left out, as it leaves them out when it exports.
 */
export function renderTemplates(templates: readonly Template[], pace = 1): string {
  return JSON.stringify({
    zabbix_export: {
      version: '6.0',
      groups: [{ uuid: stableUuid('group', templateGroup), name: templateGroup }],
      templates: templates.map((template) => renderTemplate(template, pace)),
      ...list(
        'triggers',
        templates.flatMap(({ triggers }) => triggers.filter((trigger) => onlyItem(trigger) === undefined).map((trigger) => renderTrigger(trigger))),
      ),
    },
  })
}

function renderTemplate(template: Template, pace: number) {
  return {
    uuid: template.uuid,
    template: template.name,
    name: template.name,
    ...text('description', template.description),
    groups: [{ name: templateGroup }],
    ...list(
      'items',
      template.items.map((item) => ({
        ...renderItem(item, pace),
        ...list(
          'triggers',
          template.triggers.filter((trigger) => onlyItem(trigger) === item.key).map((trigger) => renderTrigger(trigger)),
        ),
      })),
    ),
    ...list(
      'discovery_rules',
      template.discoveries.map((discovery) => renderDiscovery(template.name, discovery, pace)),
    ),
    ...list(
      'macros',
      template.macros.map(({ name, value, description }) => ({ macro: name, value, ...text('description', description) })),
    ),
  }
}

function renderItem(item: Item, pace: number) {
  const type = item.formula === undefined ? { type: 'TRAP', delay: '0' } : { type: 'CALCULATED', ...delay(item.every * pace) }
  return {
    uuid: item.uuid,
    name: item.name,
    ...type,
    key: item.key,
    ...(item.history === '90d' ? {} : { history: item.history }),
    ...(item.trends === (item.valueType === 'float' || item.valueType === 'unsigned' ? '365d' : '') ? {} : { trends: item.trends }),
    ...(item.valueType === 'unsigned' ? {} : { value_type: item.valueType.toUpperCase() }),
    ...text('units', item.units ?? ''),
    ...text('params', item.formula ?? ''),
    ...text('description', item.description),
  }
}

/** Zabbix takes a minute where nothing is said. */
const delay = (seconds: number) => (seconds === 60 ? {} : { delay: seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s` })

function renderDiscovery(template: string, discovery: Discovery, pace: number) {
  return {
    uuid: discovery.uuid,
    name: discovery.name,
    type: 'TRAP',
    key: discovery.key,
    delay: '0',
    lifetime: inHours(discovery.lifetime),
    ...text('description', discovery.description),
    ...list(
      'item_prototypes',
      discovery.items.map((item) => ({
        ...renderItem(item, pace),
        ...list(
          'trigger_prototypes',
          discovery.triggers.filter((trigger) => onlyItem(trigger) === item.key).map((trigger) => renderTrigger(trigger)),
        ),
      })),
    ),
    ...list(
      'trigger_prototypes',
      discovery.triggers.filter((trigger) => onlyItem(trigger) === undefined).map((trigger) => renderTrigger(trigger)),
    ),
    ...list(
      'graph_prototypes',
      discovery.graphs.map((graph) => renderGraph(template, graph)),
    ),
  }
}

/** What nobody says is 30d for one version and 7d for another, which then leave it out: never so in hours. */
const inHours = (period: string): string => period.replace(/^(\d+)d$/, (_, days: string) => `${Number(days) * 24}h`)

const renderGraph = (template: string, { uuid, name, keys }: Graph) => ({
  uuid,
  name,
  graph_items: keys.map((key, index) => ({
    ...(index === 0 ? {} : { sortorder: String(index) }),
    color: colours[index % colours.length],
    item: { host: template, key },
  })),
})

function renderTrigger(trigger: Trigger) {
  return {
    uuid: trigger.uuid,
    expression: trigger.expression,
    ...(trigger.recovery === undefined ? {} : { recovery_mode: 'RECOVERY_EXPRESSION', recovery_expression: trigger.recovery }),
    name: trigger.name,
    ...text('opdata', trigger.operationalData ?? ''),
    priority: severities[trigger.severity],
    ...text('description', trigger.description),
    ...(trigger.manualClose === true ? { manual_close: 'YES' } : {}),
    ...list(
      'dependencies',
      (trigger.dependsOn ?? []).map(({ name, expression, recovery }) => ({
        name,
        expression,
        ...(recovery === undefined ? {} : { recovery_expression: recovery }),
      })),
    ),
  }
}

const list = (name: string, members: readonly unknown[]) => (members.length === 0 ? {} : { [name]: members })
const text = (name: string, value: string) => (value === '' ? {} : { [name]: value })

/** The key of the only item that a trigger's expressions name; undefined where they name several. Zabbix keeps such triggers with their item. */
export function onlyItem({ expression, recovery = '' }: Pick<Trigger, 'expression' | 'recovery'>): string | undefined {
  const keys = itemsIn(`${expression} ${recovery}`)
  return keys.size === 1 ? [...keys][0] : undefined
}

/** Keys of `/TEMPLATE/KEY` in an expression: a key's parameters are in brackets, which may hold quoted texts. */
export function itemsIn(expression: string): ReadonlySet<string> {
  const keys = new Set<string>()
  for (const { index } of expression.matchAll(/\(\/[^/(),]*\//g)) {
    const start = expression.indexOf('/', index + 2) + 1
    let end = start
    while (end < expression.length && /[\w.-]/.test(expression[end] ?? '')) end++
    if (expression[end] === '[') end = closing(expression, end) + 1
    keys.add(expression.slice(start, end))
  }
  return keys
}

function closing(text: string, open: number): number {
  let quoted = false
  for (let at = open + 1; at < text.length; at++) {
    const character = text[at]
    if (quoted && character === '\\') at++
    else if (character === '"') quoted = !quoted
    else if (!quoted && character === ']') return at
  }
  throw new Error(`no end of the key's parameters: ${text}`)
}
