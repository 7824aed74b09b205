/** Methods of text, lists and dicts that templates call. */
import { braceFormat } from './format.ts'
import { equals, order } from './operators.ts'
import { str } from './text.ts'
import {
  type Arguments,
  Callable,
  type Dict,
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
  VerbatimText,
} from './values.ts'

type Method<T> = (self: T, args: Arguments) => unknown

/** The method bound to its value; undefined when values of that type have none of that name. */
export function method(self: unknown, name: string): Callable | undefined {
  const table: Readonly<Record<string, Method<never>>> | undefined = tableOf(self)
  if (table === undefined || !Object.hasOwn(table, name)) return undefined
  const found = table[name] as Method<unknown>
  const receiver = self instanceof VerbatimText ? self.text : self
  return new Callable(name, (args) => found(receiver, args))
}

function tableOf(self: unknown): Readonly<Record<string, Method<never>>> | undefined {
  if (typeof self === 'string' || self instanceof VerbatimText) return textMethods
  if (self instanceof Tuple) return tupleMethods
  if (Array.isArray(self)) return listMethods
  return isDict(self) && !(self instanceof Callable) ? dictMethods : undefined
}

/** Text split as str.split: at runs of white space when there is no separator; `limit` cuts at most. */
export function splitText(text: string, separator?: string | null, limit = -1): string[] {
  if (separator === '') throw new Fault('type', 'empty separator')
  if (separator === undefined || separator === null) {
    const words: string[] = []
    let rest = text.trimStart()
    while (rest !== '') {
      const space = limit >= 0 && words.length >= limit ? -1 : rest.search(/\s/)
      if (space < 0) return [...words, limit >= 0 ? rest : rest.trimEnd()]
      words.push(rest.slice(0, space))
      rest = rest.slice(space).trimStart()
    }
    return words
  }
  const parts = text.split(separator)
  return limit < 0 || parts.length <= limit + 1 ? parts : [...parts.slice(0, limit), parts.slice(limit).join(separator)]
}

export function stripText(text: string, characters: string | null | undefined, left: boolean, right: boolean): string {
  if (characters === undefined || characters === null) {
    const start = left ? text.trimStart() : text
    return right ? start.trimEnd() : start
  }
  const chars = [...text]
  let from = 0
  let to = chars.length
  while (left && from < to && characters.includes(chars[from] ?? '')) from += 1
  while (right && to > from && characters.includes(chars[to - 1] ?? '')) to -= 1
  return chars.slice(from, to).join('')
}

export function capitalize(text: string): string {
  const [first = '', ...rest] = text
  return first.toUpperCase() + rest.join('').toLowerCase()
}

function strip(left: boolean, right: boolean): Method<string> {
  return (self, args) => stripText(self, args.get(0, 'chars') as string | null | undefined, left, right)
}

function optionalText(args: Arguments, index: number, name: string): string | null | undefined {
  const value = args.get(index, name)
  return value === undefined || value === null ? value : args.text(index, name)
}

function affix(check: (self: string, part: string) => boolean): Method<string> {
  return (self, args) => {
    const parts = args.need(0, 'prefix')
    return (Array.isArray(parts) ? parts : [parts]).some((part) => check(self, str(part)))
  }
}

function find(name: string, search: (self: string, part: string) => number, strict: boolean): Method<string> {
  return (self, args) => {
    const from = args.number(1, 'start', 0)
    const place = search(self.slice(from, args.number(2, 'end', self.length)), args.text(0, 'sub'))
    if (place < 0 && strict) throw new Fault('type', `${name}: substring not found`)
    return place < 0 ? -1 : place + from
  }
}

function justify(place: (text: string, missing: number, fill: string) => string): Method<string> {
  return (self, args) => {
    const missing = args.number(0, 'width') - [...self].length
    const fill = args.text(1, 'fillchar', ' ')
    return missing > 0 ? place(self, missing, fill) : self
  }
}

function partition(last: boolean): Method<string> {
  return (self, args) => {
    const separator = args.text(0, 'sep')
    const at = last ? self.lastIndexOf(separator) : self.indexOf(separator)
    if (at < 0) return last ? Tuple.of2('', '', self) : Tuple.of2(self, '', '')
    return Tuple.of2(self.slice(0, at), separator, self.slice(at + separator.length))
  }
}

function every(pattern: RegExp): Method<string> {
  return (self) => pattern.test(self)
}

function reversedSplit(text: string, separator: string | null | undefined, limit: number): string[] {
  if (limit < 0) return splitText(text, separator)
  const flip = (part: string) => [...part].reverse().join('')
  const flipped = separator === undefined || separator === null ? separator : flip(separator)
  return splitText(flip(text), flipped, limit).map(flip).reverse()
}

const textMethods: Readonly<Record<string, Method<string>>> = {
  split: (self, args) => splitText(self, optionalText(args, 0, 'sep'), args.number(1, 'maxsplit', -1)),
  rsplit: (self, args) => reversedSplit(self, optionalText(args, 0, 'sep'), args.number(1, 'maxsplit', -1)),
  join: (self, args) =>
    iterate(args.need(0, 'iterable'))
      .map((item) => {
        const text = defined(item)
        if (typeof text !== 'string') throw new Fault('type', `join: expected text, found ${typeName(text)}`)
        return text
      })
      .join(self),
  replace: (self, args) => replaceText(self, args.text(0, 'old'), args.text(1, 'new'), args.number(2, 'count', -1)),
  strip: strip(true, true),
  lstrip: strip(true, false),
  rstrip: strip(false, true),
  upper: (self) => self.toUpperCase(),
  lower: (self) => self.toLowerCase(),
  casefold: (self) => self.toLowerCase(),
  capitalize: (self) => capitalize(self),
  swapcase: (self) => [...self].map((char) => (char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase())).join(''),
  title: (self) => self.toLowerCase().replace(/(?<!\p{L})\p{L}/gu, (char) => char.toUpperCase()),
  startswith: affix((self, part) => self.startsWith(part)),
  endswith: affix((self, part) => self.endsWith(part)),
  removeprefix: (self, args) => (self.startsWith(args.text(0, 'prefix')) ? self.slice(args.text(0, 'prefix').length) : self),
  removesuffix: (self, args) => (args.text(0, 'suffix') !== '' && self.endsWith(args.text(0, 'suffix')) ? self.slice(0, -args.text(0, 'suffix').length) : self),
  find: find('find', (self, part) => self.indexOf(part), false),
  rfind: find('rfind', (self, part) => self.lastIndexOf(part), false),
  index: find('index', (self, part) => self.indexOf(part), true),
  rindex: find('rindex', (self, part) => self.lastIndexOf(part), true),
  count: (self, args) => (args.text(0, 'sub') === '' ? [...self].length + 1 : self.split(args.text(0, 'sub')).length - 1),
  partition: partition(false),
  rpartition: partition(true),
  format: (self, args) => braceFormat(self, args),
  splitlines: (self, args) => {
    const keep = args.flag(0, 'keepends')
    const lines = self.match(/[^\n\r]*(?:\r\n|\n|\r)|[^\n\r]+$/g) ?? []
    return keep ? [...lines] : lines.map((line) => line.replace(/\r?\n$|\r$/, ''))
  },
  zfill: (self, args) => {
    const sign = /^[+-]/.test(self) ? self.slice(0, 1) : ''
    return sign + self.slice(sign.length).padStart(args.number(0, 'width') - sign.length, '0')
  },
  ljust: justify((text, missing, fill) => text + fill.repeat(missing)),
  rjust: justify((text, missing, fill) => fill.repeat(missing) + text),
  center: justify((text, missing, fill) => fill.repeat(Math.floor(missing / 2)) + text + fill.repeat(Math.ceil(missing / 2))),
  isdigit: every(/^\p{Nd}+$/u),
  isdecimal: every(/^\p{Nd}+$/u),
  isnumeric: every(/^\p{N}+$/u),
  isalpha: every(/^\p{L}+$/u),
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isspace: every(/^\s+$/),
  isupper: (self) => self !== self.toLowerCase() && self === self.toUpperCase(),
  islower: (self) => self !== self.toUpperCase() && self === self.toLowerCase(),
}

/** str.replace; a negative count replaces all. */
export function replaceText(text: string, old: string, replacement: string, count: number): string {
  if (count < 0) return text.replaceAll(old, () => replacement)
  let left = count
  return text.replaceAll(old, (found) => (left-- > 0 ? replacement : found))
}

function indexOf(self: unknown[], args: Arguments): number {
  const value = args.need(0, 'value')
  const at = self.findIndex((item, index) => index >= args.number(1, 'start', 0) && equals(item, value))
  if (at < 0) throw new Fault('type', `${str(value)} is not in list`)
  return at
}

const tupleMethods: Readonly<Record<string, Method<unknown[]>>> = {
  index: indexOf,
  count: (self, args) => self.filter((item) => equals(item, args.need(0, 'value'))).length,
}

const listMethods: Readonly<Record<string, Method<unknown[]>>> = {
  ...tupleMethods,
  append: (self, args) => {
    self.push(args.raw(0, 'object'))
    return null
  },
  extend: (self, args) => {
    self.push(...iterate(args.need(0, 'iterable')))
    return null
  },
  insert: (self, args) => {
    self.splice(args.number(0, 'index'), 0, args.raw(1, 'object'))
    return null
  },
  pop: (self, args) => {
    const index = args.number(0, 'index', -1)
    if (index >= self.length || index < -self.length) throw new Fault('type', 'pop index out of range')
    return self.splice(index, 1)[0]
  },
  remove: (self, args) => {
    self.splice(indexOf(self, args), 1)
    return null
  },
  reverse: (self) => {
    self.reverse()
    return null
  },
  sort: (self, args) => {
    self.sort(order)
    if (args.flag(1, 'reverse')) self.reverse()
    return null
  },
  copy: (self) => [...self],
  clear: (self) => {
    self.length = 0
    return null
  },
}

type AnyDict = Dict | Map<unknown, unknown>

function updateFrom(self: AnyDict, args: Arguments): null {
  const source = args.get(0, 'other')
  const pairs = isDict(source) ? dictEntries(source) : source === undefined ? [] : iterate(source).map((pair) => iterate(pair) as [unknown, unknown])
  for (const [key, value] of [...pairs, ...args.allNamed()]) dictSet(self, key, value)
  return null
}

const dictMethods: Readonly<Record<string, Method<AnyDict>>> = {
  items: (self) => dictEntries(self).map((pair) => Tuple.of2(...pair)),
  keys: (self) => dictKeys(self),
  values: (self) => dictKeys(self).map((key) => dictGet(self, key)),
  get: (self, args) => (dictHas(self, args.need(0, 'key')) ? dictGet(self, args.need(0, 'key')) : (args.raw(1, 'default') ?? null)),
  update: updateFrom,
  setdefault: (self, args) => {
    const key = args.need(0, 'key')
    if (!dictHas(self, key)) dictSet(self, key, args.raw(1, 'default') ?? null)
    return dictGet(self, key)
  },
  pop: (self, args) => {
    const key = args.need(0, 'key')
    const otherwise = args.raw(1, 'default')
    if (!dictHas(self, key)) {
      if (otherwise === undefined) throw new Fault('type', `pop: no key ${str(key)}`)
      return otherwise
    }
    const value = dictGet(self, key)
    if (self instanceof Map) self.delete(key)
    else Reflect.deleteProperty(self, str(key))
    return value
  },
  copy: (self) => (self instanceof Map ? new Map(self) : dictOf(dictEntries(self))),
}
