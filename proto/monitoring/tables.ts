/** The catalogue as tables in Markdown, for docs/monitoring-items.md. Pure. */
import type { Discovery, Item, Macro, Template, Trigger } from './types.ts'

const row = (...cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
const table = (head: readonly string[], rows: readonly string[]): readonly string[] =>
  rows.length === 0 ? [] : [row(...head), `|${'---|'.repeat(head.length)}`, ...rows, '']
const code = (text: string): string => `\`${text}\``

function interval(seconds: number): string {
  if (seconds % 3600 === 0) return `${seconds / 3600} h`
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`
}

const unit = ({ units = '', valueType }: Item): string =>
  units === '' ? { float: 'number', unsigned: 'number', char: 'text', text: 'text', log: 'lines' }[valueType] : units.replace(/^!/, '')

const itemRow = (item: Item): string =>
  row(
    code(item.key),
    item.name,
    unit(item),
    interval(item.every),
    [item.description, ...(item.formula === undefined ? [] : ['Computed by Zabbix.'])].filter((text) => text !== '').join(' '),
  )

const triggerRow = ({ name, severity, expression, description, manualClose }: Trigger, template: string): string =>
  row(
    name,
    severity,
    code(expression.replaceAll(`/${template}/`, '')),
    [description, ...(manualClose === true ? ['Can be closed by hand.'] : [])].filter((text) => text !== '').join(' '),
  )

const items = (all: readonly Item[]): readonly string[] => table(['item', '', 'value', 'every', ''], all.map(itemRow))
const triggers = (all: readonly Trigger[], template: string): readonly string[] =>
  table(
    ['alert', 'severity', 'while', ''],
    all.map((trigger) => triggerRow(trigger, template)),
  )
const macros = (all: readonly Macro[]): readonly string[] =>
  table(
    ['macro', 'value', ''],
    all.map(({ name, value, description }) => row(code(name), code(value), description)),
  )

const discovery = ({ name, key, every, macros: names, description, items: found, triggers: alerts }: Discovery, template: string): readonly string[] => [
  `### ${name}`,
  '',
  `${description} Discovery ${code(key)}, every ${interval(every)} and at once when it changes: ${names.map(code).join(', ')}.`,
  '',
  ...items(found),
  ...triggers(alerts, template),
]

export const catalogueTables = (templates: readonly Template[]): string =>
  templates
    .flatMap((template) => [
      `## ${template.name}`,
      '',
      template.description,
      '',
      ...items(template.items),
      ...triggers(template.triggers, template.name),
      ...macros(template.macros),
      ...template.discoveries.flatMap((one) => discovery(one, template.name)),
    ])
    .join('\n')
    .trimEnd()
    .concat('\n')
