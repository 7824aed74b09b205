/** Filters on lists that Jinja itself brings. */
import { getPath } from './access.ts'
import type { Toolbox } from './evaluate.ts'
import type { Filter, Filters } from './filters.ts'
import { binary, equals, order } from './operators.ts'
import { str } from './text.ts'
import { Arguments, defined, dictEntries, Fault, Group, isDict, iterate, Tuple, truthy, typeName, Undefined } from './values.ts'

function fold(value: unknown, caseSensitive: boolean): unknown {
  return typeof value === 'string' && !caseSensitive ? value.toLowerCase() : value
}

function keyBy(attribute: unknown, caseSensitive: boolean): (item: unknown) => unknown {
  if (attribute === undefined || attribute === null) return (item) => fold(defined(item), caseSensitive)
  const paths = typeof attribute === 'string' ? attribute.split(',') : [attribute]
  if (paths.length === 1) return (item) => fold(defined(getPath(item, attribute)), caseSensitive)
  return (item) => paths.map((path) => fold(defined(getPath(item, path)), caseSensitive))
}

function sorted(items: readonly unknown[], key: (item: unknown) => unknown, reverse: boolean): unknown[] {
  const keyed = items.map((item) => [key(item), item] as const)
  keyed.sort(([a], [b]) => (reverse ? order(b, a) : order(a, b)))
  return keyed.map(([, item]) => item)
}

function extreme(direction: number): Filter {
  return (value, args) => {
    const key = keyBy(args.get(1, 'attribute'), args.flag(0, 'case_sensitive'))
    const [first, ...rest] = iterate(value)
    if (first === undefined) return new Undefined(undefined, 'no aggregated item, sequence was empty')
    return rest.reduce((best, item) => (order(key(item), key(best)) * direction > 0 ? item : best), first)
  }
}

export function uniqueItems(items: readonly unknown[], key: (item: unknown) => unknown): unknown[] {
  const plain = new Set<unknown>()
  const others: unknown[] = []
  return items.filter((item) => {
    const one = key(item)
    if (typeof one === 'string') return plain.has(one) ? false : plain.add(one)
    if (others.some((other) => equals(other, one))) return false
    others.push(one)
    return true
  })
}

/** The arguments after the first `skip`, passed on to the filter or test named there. */
function rest(args: Arguments, skip: number): Arguments {
  return new Arguments(args.positional.slice(skip), args.allNamed())
}

function filterBy(wanted: boolean, byAttribute: boolean): Filter {
  return (value, args, tools) => {
    const skip = byAttribute ? 1 : 0
    const pick = byAttribute ? (item: unknown) => getPath(item, args.need(0, 'attribute')) : (item: unknown) => item
    const name = args.positional.length > skip ? args.text(skip, 'test') : undefined
    const check = (item: unknown) => (name === undefined ? truthy(pick(item)) : tools.test(name, pick(item), rest(args, skip + 1)))
    return iterate(value).filter((item) => check(item) === wanted)
  }
}

function map(value: unknown, args: Arguments, tools: Toolbox): unknown {
  const items = iterate(value)
  if (args.positional.length === 0) {
    const attribute = args.need(0, 'attribute')
    const otherwise = args.raw(1, 'default')
    return items.map((item) => {
      const found = getPath(item, attribute)
      return found instanceof Undefined && otherwise !== undefined ? otherwise : found
    })
  }
  const name = args.text(0, 'filter')
  return items.map((item) => tools.filter(name, item, rest(args, 1)))
}

function first(value: unknown): unknown {
  const items = iterate(value)
  return items.length === 0 ? new Undefined(undefined, 'No first item, sequence was empty.') : items[0]
}

function last(value: unknown): unknown {
  const items = iterate(value)
  return items.length === 0 ? new Undefined(undefined, 'No last item, sequence was empty.') : items.at(-1)
}

function length(value: unknown): number {
  if (typeof value !== 'string' && !Array.isArray(value) && !isDict(value)) throw new Fault('type', `object of type '${typeName(value)}' has no len()`)
  return iterate(value).length
}

function groupby(value: unknown, args: Arguments): unknown {
  const attribute = args.need(0, 'attribute')
  const otherwise = args.get(1, 'default')
  const sensitive = args.flag(2, 'case_sensitive')
  const real = (item: unknown) => {
    const found = getPath(item, attribute)
    return defined(found instanceof Undefined && otherwise !== undefined ? otherwise : found)
  }
  const key = (item: unknown) => fold(real(item), sensitive)
  const groups: Group[] = []
  for (const item of sorted(iterate(value), key, false)) {
    const group = groups.at(-1)
    if (group !== undefined && equals(fold(group[0], sensitive), key(item))) (group[1] as unknown[]).push(item)
    else groups.push(Group.make(real(item), [item]))
  }
  return groups
}

function batch(value: unknown, args: Arguments): unknown {
  const items = iterate(value)
  const count = args.number(0, 'linecount')
  const fill = args.get(1, 'fill_with') ?? null
  const lines: unknown[][] = []
  for (let at = 0; at < items.length; at += Math.max(1, count)) lines.push(items.slice(at, at + Math.max(1, count)))
  const end = lines.at(-1)
  while (fill !== null && end !== undefined && end.length < count) end.push(fill)
  return lines
}

function slices(value: unknown, args: Arguments): unknown {
  const items = iterate(value)
  const count = args.number(0, 'slices')
  const fill = args.get(1, 'fill_with') ?? null
  const size = Math.floor(items.length / count)
  const extra = items.length % count
  return Array.from({ length: count }, (_, index) => {
    const start = index * size + Math.min(index, extra)
    const part = items.slice(start, start + size + (index < extra ? 1 : 0))
    if (fill !== null && index >= extra) part.push(fill)
    return part
  })
}

function dictsort(value: unknown, args: Arguments): unknown {
  if (!isDict(value)) throw new Fault('type', `dictsort needs a dict, not ${typeName(value)}`)
  const sensitive = args.flag(0, 'case_sensitive')
  const by = args.text(1, 'by', 'key') === 'value' ? 1 : 0
  const pairs = dictEntries(value).map((pair) => Tuple.of2(...pair))
  return sorted(pairs, (pair) => fold((pair as unknown[])[by], sensitive), args.flag(2, 'reverse'))
}

export const listFilters: Filters = {
  first,
  last,
  length,
  count: length,
  list: (value) => [...iterate(value)],
  join: (value, args) => {
    const separator = str(args.get(0, 'd') ?? '')
    const attribute = args.get(1, 'attribute')
    return iterate(value)
      .map((item) => str(defined(attribute === undefined || attribute === null ? item : getPath(item, attribute))))
      .join(separator)
  },
  reverse: (value) => (typeof value === 'string' ? [...value].reverse().join('') : [...iterate(value)].reverse()),
  sort: (value, args) => sorted(iterate(value), keyBy(args.get(2, 'attribute'), args.flag(1, 'case_sensitive')), args.flag(0, 'reverse')),
  unique: (value, args) => uniqueItems(iterate(value), keyBy(args.get(1, 'attribute'), args.flag(0, 'case_sensitive'))),
  map,
  select: filterBy(true, false),
  reject: filterBy(false, false),
  selectattr: filterBy(true, true),
  rejectattr: filterBy(false, true),
  groupby,
  sum: (value, args) => {
    const attribute = args.get(0, 'attribute')
    const start = args.get(1, 'start') ?? 0
    return iterate(value).reduce((total, item) => binary('+', total, attribute === undefined || attribute === null ? item : getPath(item, attribute)), start)
  },
  min: extreme(-1),
  max: extreme(1),
  batch,
  slice: slices,
  dictsort,
  items: (value) => {
    if (!isDict(value)) throw new Fault('type', `items needs a dict, not ${typeName(value)}`)
    return dictEntries(value).map((pair) => Tuple.of2(...pair))
  },
}
