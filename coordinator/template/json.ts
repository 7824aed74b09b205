/** JSON as Python's json module writes it. */

import { floatText, numberText } from './text.ts'
import { defined, dictEntries, dictOf, Fault, Float, isDict, keyText, toNumber, typeName } from './values.ts'

export interface JsonOptions {
  /** Spaces a level; undefined for one line. */
  readonly indent?: number | undefined
  readonly sortKeys?: boolean
  readonly asciiOnly?: boolean
  /** Between items and after keys; Python's default is ', ' and ': '. */
  readonly separators?: readonly [string, string] | undefined
}

export function dumpJson(value: unknown, options: JsonOptions = {}): string {
  const [comma, colon] = options.separators ?? [options.indent === undefined ? ', ' : ',', ': ']
  const wrap = (open: string, close: string, parts: string[], depth: number): string => {
    if (parts.length === 0) return open + close
    if (options.indent === undefined) return open + parts.join(comma) + close
    const line = `\n${' '.repeat(options.indent * (depth + 1))}`
    return `${open}${line}${parts.join(comma + line)}\n${' '.repeat(options.indent * depth)}${close}`
  }
  const dump = (raw: unknown, depth: number): string => {
    const plain = defined(raw)
    if (plain === null || typeof plain === 'boolean') return String(plain)
    if (typeof plain === 'string') return quote(plain, options.asciiOnly ?? true)
    if (typeof plain === 'number') return Number.isInteger(plain) ? numberText(plain) : jsonFloat(plain)
    if (plain instanceof Float) return jsonFloat(plain.value)
    if (plain instanceof Date) return JSON.stringify(plain)
    if (Array.isArray(plain))
      return wrap(
        '[',
        ']',
        plain.map((item) => dump(item, depth + 1)),
        depth,
      )
    if (!isDict(plain)) throw new Fault('type', `a value of type ${typeName(plain)} has no JSON form`)
    const entries = dictEntries(plain).map(([key, item]) => [keyOf(key), item] as const)
    if (options.sortKeys === true) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    const parts = entries.map(([key, item]) => quote(key, options.asciiOnly ?? true) + colon + dump(item, depth + 1))
    return wrap('{', '}', parts, depth)
  }
  return dump(value, 0)
}

function keyOf(key: unknown): string {
  return toNumber(key) === undefined || typeof key === 'boolean' ? keyText(key) : numberText(toNumber(key) ?? 0)
}

function jsonFloat(value: number): string {
  if (Number.isFinite(value)) return floatText(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

function quote(text: string, asciiOnly: boolean): string {
  const quoted = JSON.stringify(text)
  return asciiOnly ? quoted.replace(/[\x7f-\uffff]/g, (char) => (char === '\x7f' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)) : quoted
}

export function loadJson(text: string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) => (isDict(value) ? dictOf(dictEntries(value)) : value))
  } catch (error) {
    throw new Fault('type', `from_json: ${error instanceof Error ? error.message : String(error)}`)
  }
}
