/** Ansible's filters on lists and dicts. */
import { getItem } from './access.ts'
import type { Filter, Filters } from './filters.ts'
import { uniqueItems } from './filters-list.ts'
import { equals } from './operators.ts'
import { str } from './text.ts'
import {
  type Arguments,
  defined,
  dictEntries,
  dictGet,
  dictHas,
  dictKeys,
  dictOf,
  dictSet,
  Fault,
  isDict,
  iterate,
  Tuple,
  typeName,
  Undefined,
} from './values.ts'

type Lists = (a: unknown[], b: unknown[]) => unknown[]

function onLists(work: Lists): Filter {
  return (value, args) => uniqueItems(work(iterate(value), iterate(args.need(0, 'b'))), defined)
}

const has = (items: unknown[], item: unknown) => items.some((one) => equals(one, item))
const without: Lists = (a, b) => a.filter((item) => !has(b, item))

function flatten(items: readonly unknown[], levels: number, skipNulls: boolean): unknown[] {
  return items.flatMap((item) => {
    if (skipNulls && (item === null || item === 'None' || item === 'null')) return []
    if (!Array.isArray(item)) return [item]
    return levels > 0 ? flatten(item, levels - 1, skipNulls) : [item]
  })
}

type ListMerge = (low: unknown[], high: unknown[]) => unknown[]
const listMerges: Readonly<Record<string, ListMerge>> = {
  replace: (_, high) => high,
  keep: (low) => low,
  append: (low, high) => [...low, ...high],
  prepend: (low, high) => [...high, ...low],
  append_rp: (low, high) => [...without(low, high), ...high],
  prepend_rp: (low, high) => [...high, ...without(low, high)],
}

function merge(low: unknown, high: unknown, recursive: boolean, lists: ListMerge): unknown {
  if (!isDict(low) || !isDict(high))
    throw new Fault('type', `failed to combine variables, expected dicts but got a '${typeName(low)}' and a '${typeName(high)}'`)
  const merged = dictOf(dictEntries(low))
  for (const [key, value] of dictEntries(high)) {
    const old = dictHas(merged, key) ? dictGet(merged, key) : undefined
    if (recursive && isDict(old) && isDict(value)) dictSet(merged, key, merge(old, value, true, lists))
    else dictSet(merged, key, Array.isArray(old) && Array.isArray(value) ? lists(old, value) : value)
  }
  return merged
}

function combine(value: unknown, args: Arguments): unknown {
  const recursive = args.flag(Number.POSITIVE_INFINITY, 'recursive')
  const lists = listMerges[args.text(Number.POSITIVE_INFINITY, 'list_merge', 'replace')]
  if (lists === undefined) throw new Fault('type', "combine: unknown 'list_merge'")
  const dicts = flatten([value, ...args.positional.map(defined)], 1, true)
  return dicts.length === 0 ? {} : dicts.reduce((low, high) => merge(low, high, recursive, lists))
}

function extract(value: unknown, args: Arguments): unknown {
  const more = args.get(1, 'morekeys')
  const keys = more === undefined || more === null ? [value] : [value, ...(Array.isArray(more) ? more : [more])]
  return keys.reduce((container, key) => getItem(container, key, undefined), args.need(0, 'container'))
}

function subelements(value: unknown, args: Arguments): unknown {
  const path = args.need(0, 'subelements')
  const skipMissing = args.flag(1, 'skip_missing')
  const keys = Array.isArray(path) ? path : str(path).split('.')
  const elements = isDict(value) ? dictKeys(value).map((key) => dictGet(value, key)) : iterate(value)
  return elements.flatMap((element) => {
    const found = keys.reduce((inner, key) => getItem(inner, key, undefined), element)
    if (found instanceof Undefined && skipMissing) return []
    if (!Array.isArray(defined(found))) throw new Fault('type', `subelements: '${keys.map(str).join('.')}' is not a list`)
    return (found as unknown[]).map((one) => Tuple.of2(element, one))
  })
}

function zip(longest: boolean): Filter {
  return (value, args) => {
    const fill = longest ? (args.get(Number.POSITIVE_INFINITY, 'fillvalue') ?? null) : null
    const lists = [iterate(value), ...args.positional.map(iterate)]
    const lengths = lists.map((list) => list.length)
    const length = longest ? Math.max(...lengths) : Math.min(...lengths)
    return Array.from({ length }, (_, index) => Tuple.of2(...lists.map((list) => (index < list.length ? list[index] : fill))))
  }
}

export const setFilters: Filters = {
  intersect: onLists((a, b) => a.filter((item) => has(b, item))),
  difference: onLists(without),
  union: onLists((a, b) => [...a, ...b]),
  symmetric_difference: onLists((a, b) => [...without(a, b), ...without(b, a)]),
  flatten: (value, args) => flatten(iterate(value), args.number(0, 'levels', Number.POSITIVE_INFINITY), args.flag(1, 'skip_nulls', true)),
  combine,
  extract,
  subelements,
  zip: zip(false),
  zip_longest: zip(true),
  product: (value, args) =>
    args.positional.map(iterate).reduce<Tuple[]>(
      (rows, list) => rows.flatMap((row) => list.map((item) => Tuple.of2(...row, item))),
      iterate(value).map((item) => Tuple.of2(item)),
    ),
  dict2items: (value, args) => {
    if (!isDict(value)) throw new Fault('type', `dict2items requires a dictionary, got ${typeName(value)} instead.`)
    const keyName = args.text(0, 'key_name', 'key')
    const valueName = args.text(1, 'value_name', 'value')
    return dictEntries(value).map(([key, item]) =>
      dictOf([
        [keyName, key],
        [valueName, item],
      ]),
    )
  },
  items2dict: (value, args) => {
    const keyName = args.text(0, 'key_name', 'key')
    const valueName = args.text(1, 'value_name', 'value')
    return dictOf(iterate(value).map((item) => [defined(getItem(item, keyName, 'item')), getItem(item, valueName, 'item')] as const))
  },
}
