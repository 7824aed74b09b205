/** Filters on text, numbers and paths. */

import type { Filter, Filters } from './filters.ts'
import { percentFormat } from './format.ts'
import { capitalize, replaceText, splitText, stripText } from './methods.ts'
import { expandReplacement, groupOf, pythonRegex } from './regex.ts'
import { str } from './text.ts'
import { type Arguments, dictEntries, Fault, isDict, isFloat, iterate, makeFloat, Tuple, toNumber, typeName, VerbatimText } from './values.ts'

const onText =
  (work: (text: string, args: Arguments) => unknown): Filter =>
  (value, args) =>
    work(str(value), args)

function toInt(value: unknown, args: Arguments): unknown {
  const otherwise = args.get(0, 'default') ?? 0
  const base = args.number(1, 'base', 10)
  const number = toNumber(value)
  if (number !== undefined) return Math.trunc(number)
  if (typeof value !== 'string') return otherwise
  const text = value
    .trim()
    .replace(/(\d)_(?=\d)/g, '$1')
    .toLowerCase()
  const digits = text.replace(base === 16 ? /^([-+]?)0x/ : base === 8 ? /^([-+]?)0o/ : base === 2 ? /^([-+]?)0b/ : /^([-+]?)/, '$1')
  if (/^[-+]?[\da-z]+$/.test(digits)) {
    const allowed = [...digits.replace(/^[-+]/, '')].every((digit) => Number.parseInt(digit, 36) < base)
    if (allowed) return Number.parseInt(digits, base)
  }
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/.test(text) ? Math.trunc(Number(text)) : otherwise
}

function toFloat(value: unknown, args: Arguments): unknown {
  const otherwise = args.get(0, 'default') ?? makeFloat(0)
  const number = toNumber(value)
  if (number !== undefined) return makeFloat(number)
  const text = typeof value === 'string' ? value.trim().replace(/(\d)_(?=\d)/g, '$1') : ''
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? makeFloat(Number(text)) : otherwise
}

/** Halves go to the even neighbour, as in Python. */
function round(value: unknown, args: Arguments): unknown {
  const precision = args.number(0, 'precision', 0)
  const way = args.text(1, 'method', 'common')
  const number = numberOf(value)
  const scale = 10 ** precision
  if (way === 'ceil') return makeFloat(Math.ceil(number * scale) / scale)
  if (way === 'floor') return makeFloat(Math.floor(number * scale) / scale)
  if (way !== 'common') throw new Fault('type', 'method must be common, ceil or floor')
  const scaled = number * scale
  const low = Math.floor(scaled)
  const half = scaled - low === 0.5
  const rounded = half ? (low % 2 === 0 ? low : low + 1) / scale : precision > 0 ? Number(number.toFixed(precision)) : Math.round(scaled) / scale
  return isFloat(value) ? makeFloat(rounded) : rounded
}

function numberOf(value: unknown): number {
  const number = toNumber(value)
  if (number === undefined) throw new Fault('type', `a number is needed, not ${typeName(value)}`)
  return number
}

function indent(text: string, args: Arguments): string {
  const width = args.get(0, 'width') ?? 4
  const first = args.flag(1, 'first')
  const blank = args.flag(2, 'blank')
  const pad = typeof width === 'string' ? width : ' '.repeat(numberOf(width))
  const lines = text.split('\n').map((line, index) => (index > 0 && (blank || line !== '') ? pad + line : line))
  return (first ? pad : '') + lines.join('\n')
}

function truncate(text: string, args: Arguments): string {
  const length = args.number(0, 'length', 255)
  const killWords = args.flag(1, 'killwords')
  const end = args.text(2, 'end', '...')
  const leeway = args.number(3, 'leeway', 5)
  if (text.length <= length + leeway) return text
  const cut = text.slice(0, length - end.length)
  return (killWords || !cut.includes(' ') ? cut : cut.slice(0, cut.lastIndexOf(' '))) + end
}

function urlQuote(text: string, keep: RegExp, space: string): string {
  const encoded = encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return encoded.replace(keep, '/').replaceAll('%20', space)
}

function urlencode(value: unknown): string {
  const pairs = isDict(value) ? dictEntries(value) : Array.isArray(value) ? value.map((pair) => iterate(pair)) : undefined
  if (pairs === undefined) return urlQuote(str(value), /%2F/g, '%20')
  return pairs.map(([key, item]) => `${urlQuote(str(key), /(?!)/g, '+')}=${urlQuote(str(item), /(?!)/g, '+')}`).join('&')
}

function regexOf(args: Arguments, index: number, name: string, flags: { ignoreCase: number; multiline: number }): RegExp {
  return pythonRegex(args.text(index, name, ''), args.flag(flags.ignoreCase, 'ignorecase'), args.flag(flags.multiline, 'multiline'))
}

const named = Number.POSITIVE_INFINITY

function regexReplace(text: string, args: Arguments): string {
  const replacement = args.text(1, 'replacement', '')
  const pattern = regexOf(args, 0, 'pattern', { ignoreCase: 2, multiline: 3 })
  let out = ''
  let at = 0
  for (const match of text.matchAll(pattern)) {
    out += text.slice(at, match.index) + expandReplacement(replacement, match)
    at = match.index + match[0].length
  }
  return out + text.slice(at)
}

function regexSearch(text: string, args: Arguments): unknown {
  const match = regexOf(args, 0, 'regex', { ignoreCase: named, multiline: named }).exec(text)
  if (match === null) return null
  const groups = args.positional.slice(1).map(str)
  if (groups.length === 0) return match[0]
  return groups.map((group) => {
    const name = /^\\g<(\S+)>$|^\\(\d+)$/.exec(group)
    if (name === null) throw new Fault('type', `regex_search: unknown argument '${group}'`)
    return groupOf(match, name[1] ?? name[2] ?? '')
  })
}

function regexFindall(text: string, args: Arguments): unknown {
  return [...text.matchAll(regexOf(args, 0, 'regex', { multiline: 1, ignoreCase: 2 }))].map((match) => {
    if (match.length === 1) return match[0]
    const groups = match.slice(1).map((group) => group ?? '')
    return groups.length === 1 ? groups[0] : Tuple.of2(...groups)
  })
}

function regexEscape(text: string, args: Arguments): string {
  const kind = args.text(0, 're_type', 'python')
  if (kind === 'posix_basic') return text.replace(/[\].[^$*\\]/g, '\\$&')
  if (kind !== 'python') throw new Fault('unsupported', `regex_escape: type '${kind}' is not supported`)
  return text.replace(/[()[\]{}?*+\-|^$\\.&~# \t\n\r\v\f]/g, '\\$&')
}

function dirname(path: string): string {
  const head = path.slice(0, path.lastIndexOf('/') + 1)
  return /^\/*$/.test(head) ? head : head.replace(/\/+$/, '')
}

function splitext(path: string): Tuple {
  const base = path.slice(path.lastIndexOf('/') + 1)
  const dot = /^\.+/.test(base) ? base.replace(/^\.+/, (dots) => ' '.repeat(dots.length)).lastIndexOf('.') : base.lastIndexOf('.')
  return dot <= 0 ? Tuple.of2(path, '') : Tuple.of2(path.slice(0, path.length - base.length + dot), base.slice(dot))
}

const htmlEscapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' }
const escapeHtml = onText((text) => text.replace(/[&<>"']/g, (char) => htmlEscapes[char] ?? char))

export const textFilters: Filters = {
  lower: onText((text) => text.toLowerCase()),
  upper: onText((text) => text.toUpperCase()),
  capitalize: onText(capitalize),
  title: onText((text) =>
    text
      .split(/([-\s({[<]+)/)
      .map((part) => capitalize(part))
      .join(''),
  ),
  trim: onText((text, args) => stripText(text, args.get(0, 'chars') as string | null | undefined, true, true)),
  replace: onText((text, args) => replaceText(text, str(args.need(0, 'old')), str(args.need(1, 'new')), args.number(2, 'count', -1))),
  indent: onText(indent),
  truncate: onText(truncate),
  center: onText((text, args) => {
    const missing = Math.max(0, args.number(0, 'width', 80) - text.length)
    return ' '.repeat(Math.floor(missing / 2)) + text + ' '.repeat(Math.ceil(missing / 2))
  }),
  wordcount: onText((text) => (text.match(/[\p{L}\p{N}_]+/gu) ?? []).length),
  urlencode,
  escape: escapeHtml,
  e: escapeHtml,
  forceescape: escapeHtml,
  safe: onText((text) => text),
  format: (value, args) => {
    const values = args.allNamed()
    return percentFormat(str(value), values.size > 0 ? Object.fromEntries(values) : Tuple.of2(...args.positional))
  },
  string: (value) => new VerbatimText(str(value)),
  int: toInt,
  float: toFloat,
  round,
  abs: (value) => (isFloat(value) ? makeFloat(Math.abs(numberOf(value))) : Math.abs(numberOf(value))),
  pow: (value, args) => makeFloat(numberOf(value) ** args.number(0, 'y')),
  split: onText((text, args) => {
    const separator = args.get(0, 'sep')
    return splitText(text, separator === undefined || separator === null ? separator : str(separator), args.number(1, 'maxsplit', -1))
  }),
  regex_replace: onText(regexReplace),
  regex_search: onText(regexSearch),
  regex_findall: onText(regexFindall),
  regex_escape: onText(regexEscape),
  quote: (value) => {
    const text = value === null ? '' : str(value)
    return text !== '' && /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`
  },
  basename: onText((path) => path.slice(path.lastIndexOf('/') + 1)),
  dirname: onText(dirname),
  splitext: onText(splitext),
  path_join: (value) =>
    typeof value === 'string'
      ? value
      : iterate(value)
          .map(str)
          .reduce((path, part) => (part.startsWith('/') ? part : path === '' || path.endsWith('/') ? path + part : `${path}/${part}`)),
}
