/** Text forms of values, as Python's str() and repr() give them. */
import { omit } from './template.ts'
import { Callable, dictEntries, Fault, Float, isDict, Namespace, Tuple, Undefined, VerbatimText } from './values.ts'

export function str(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof VerbatimText) return value.text
  if (value instanceof Undefined) return value.use()
  if (value === omit) throw new Fault('type', 'omit must be the whole value, not part of a text')
  return repr(value)
}

export function repr(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'string') return quoteText(value)
  if (value instanceof VerbatimText) return quoteText(value.text)
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Float) return floatText(value.value)
  if (value instanceof Undefined) throw value.fault()
  if (value === omit) throw new Fault('type', 'omit must be the whole value, not part of a text')
  if (value instanceof Tuple) return value.length === 1 ? `(${repr(value[0])},)` : `(${value.map(repr).join(', ')})`
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`
  if (value instanceof Callable) return `<function ${value.name}>`
  if (value instanceof Namespace) return `<Namespace ${braces([...value.values])}>`
  if (value instanceof Date) return value.toISOString().replace('T', ' ').replace('Z', '000')
  return isDict(value) ? braces(dictEntries(value)) : String(value)
}

function braces(entries: [unknown, unknown][]): string {
  return `{${entries.map(([key, value]) => `${repr(key)}: ${repr(value)}`).join(', ')}}`
}

export function numberText(value: number): string {
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString()
  return floatText(value)
}

/** Python prints a float with the shortest digits, an exponent of at least two digits from 1e16 and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

const shortEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
const unprintable = /[\\\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu

function quoteText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inner = text.replace(unprintable, (char) => shortEscapes[char] ?? codeEscape(char.codePointAt(0) ?? 0))
  return quote + (quote === "'" ? inner.replaceAll("'", "\\'") : inner) + quote
}

function codeEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

/** Escapes of a Python string literal; an unknown one keeps its backslash. */
export function unescapeText(source: string): string {
  if (!source.includes('\\')) return source
  return source.replace(/\\(\r\n|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|[\s\S])/g, (whole, body: string) => {
    const simple = simpleEscapes[body]
    if (simple !== undefined) return simple
    if (/^[xuU]./.test(body)) return String.fromCodePoint(Number.parseInt(body.slice(1), 16))
    return /^[0-7]/.test(body) ? String.fromCodePoint(Number.parseInt(body, 8)) : whole
  })
}

const simpleEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
}
