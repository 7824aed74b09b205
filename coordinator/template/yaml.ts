/** YAML 1.1 read and written as PyYAML does. */
import { parseDocument, type Tags } from 'yaml'
import { order } from './operators.ts'
import { floatText, numberText } from './text.ts'
import { defined, dictEntries, Fault, Float, isDict, typeName } from './values.ts'

/** Dates stay text, y and n are text, and a float needs its point, as in PyYAML. */
const bool = (value: boolean, test: RegExp) => ({
  default: true,
  tag: 'tag:yaml.org,2002:bool',
  test,
  resolve: () => value,
  identify: (one: unknown) => one === value,
})
const likePyYaml = (tags: Tags): Tags => [
  bool(true, /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/),
  bool(false, /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/),
  ...tags.filter((tag) => {
    if (typeof tag === 'string') return true
    return !tag.tag.endsWith(':timestamp') && !tag.tag.endsWith(':bool') && !('format' in tag && tag.format === 'EXP')
  }),
]

/** The first document of a text. Throws 'type' where it is no YAML. */
export function loadYaml(text: string): unknown {
  const document = parseDocument(text, { version: '1.1', merge: true, customTags: likePyYaml, logLevel: 'silent' })
  const error = document.errors[0]
  if (error !== undefined) throw new Fault('type', `from_yaml: ${error.message}`)
  return document.toJS()
}

export interface YamlOptions {
  /** Spaces a level. */
  readonly indent: number
  /** Collections without collections in them are written on one line. */
  readonly flowLeaves: boolean
  readonly sortKeys: boolean
  /** Column after which a long text goes on in the next line. */
  readonly width: number
}

export function dumpYaml(value: unknown, options: YamlOptions): string {
  const plain = defined(value)
  if (isCollection(plain)) {
    const writer = new Writer(options)
    return writer.isFlow(plain) ? `${writer.flow(plain)}\n` : writer.block(plain, 0).replace(/^\n/, '').concat('\n')
  }
  return `${new Writer(options).scalarAt(plain, 0, options.indent)}\n`
}

function isCollection(value: unknown): boolean {
  return Array.isArray(value) || isDict(value)
}

class Writer {
  private readonly options: YamlOptions
  constructor(options: YamlOptions) {
    this.options = options
  }

  private entries(value: unknown): [unknown, unknown][] {
    const entries = isDict(value) ? dictEntries(value) : []
    if (this.options.sortKeys) entries.sort(([a], [b]) => order(a, b))
    return entries
  }

  isFlow(value: unknown): boolean {
    const items = Array.isArray(value) ? value : this.entries(value).map(([, item]) => item)
    return items.length === 0 || (this.options.flowLeaves && !items.some((item) => isCollection(defined(item))))
  }

  flow(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map((item) => this.flow(defined(item))).join(', ')}]`
    if (!isDict(value)) return scalar(value, 0, this.options.width, true)
    return `{${this.entries(value)
      .map(([key, item]) => `${scalar(key, 0, Number.POSITIVE_INFINITY, true)}: ${this.flow(defined(item))}`)
      .join(', ')}}`
  }

  /** Lines of a block collection; begins with a newline. `depth` is the column of its keys. */
  block(value: unknown, depth: number): string {
    const pad = `\n${' '.repeat(depth)}`
    if (Array.isArray(value)) return value.map((item) => `${pad}-${this.item(defined(item), depth)}`).join('')
    return this.entries(value)
      .map(([key, item]) => {
        const name = scalar(key, depth, Number.POSITIVE_INFINITY, false)
        const plain = defined(item)
        if (!isCollection(plain)) return `${pad}${name}: ${this.scalarAt(plain, depth + name.length + 2, depth + this.options.indent)}`
        if (this.isFlow(plain)) return `${pad}${name}: ${this.flow(plain)}`
        return `${pad}${name}:${this.block(plain, Array.isArray(plain) ? depth : depth + this.options.indent)}`
      })
      .join('')
  }

  private item(value: unknown, depth: number): string {
    const inner = depth + this.options.indent
    if (!isCollection(value)) return ` ${this.scalarAt(value, depth + 2, inner)}`
    if (this.isFlow(value)) return ` ${this.flow(value)}`
    return ' '.repeat(this.options.indent - 1) + this.block(value, inner).slice(1 + inner)
  }

  scalarAt(value: unknown, column: number, continuation: number): string {
    return scalar(value, column, this.options.width, false).replaceAll('\n', (newline, at: number, all: string) =>
      all[at + 1] === '\n' ? newline : newline + ' '.repeat(continuation),
    )
  }
}

function scalar(value: unknown, column: number, width: number, flow: boolean): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isInteger(value) ? numberText(value) : floatText(value)
  if (value instanceof Float) return floatText(value.value)
  if (typeof value !== 'string') throw new Fault('type', `a value of type ${typeName(value)} has no YAML form`)
  if (isPlain(value, flow)) return fold(value, column, width)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters single quotes cannot hold
  if (/[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff]|\n | \n/.test(value)) return doubleQuoted(value)
  return `'${fold(value.replaceAll("'", "''"), column + 1, width)}'`
}

/** Text that YAML 1.1 reads back as this very text without quotes. */
function isPlain(text: string, flow: boolean): boolean {
  if (text === '' || /^\s|\s$/.test(text) || /[\n\t]/.test(text)) return false
  if (/^[-?:](?:\s|$)/.test(text) || /^[,[\]{}#&*!|>'"%@`]/.test(text) || /^(?:---|\.\.\.)/.test(text)) return false
  if (/:(?:\s|$)|\s#/.test(text) || (flow && /[,?[\]{}:]/.test(text))) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters need quotes
  if (/[\x00-\x1f\x7f-\x9f\ufeff]/.test(text)) return false
  return !readsAsOther(text)
}

function readsAsOther(text: string): boolean {
  if (/^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|~|null|Null|NULL|<<|=)$/.test(text)) return true
  if (/^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][\d_]*|0x[\da-fA-F_]+|[1-9][\d_]*(?::[0-5]?\d)+)$/.test(text)) return true
  if (/^[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|\.(?:inf|Inf|INF))$/.test(text)) return true
  return /^\.(?:nan|NaN|NAN)$/.test(text) || /^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)?$/.test(text)
}

/** A line ends at the first single space after `width`; newlines of the text are doubled. */
function fold(text: string, column: number, width: number): string {
  let at = column
  let out = ''
  for (const part of text.split(/( +|\n+)/)) {
    if (part.startsWith('\n')) {
      out += `\n${part}`
      at = 0
    } else if (part === ' ' && at > width && out !== '') {
      out += '\n'
      at = 0
    } else {
      out += part
      at += part.length
    }
  }
  return out
}

function doubleQuoted(text: string): string {
  const short: Readonly<Record<string, string>> = {
    '\n': '\\n',
    '\t': '\\t',
    '\r': '\\r',
    '\0': '\\0',
    '\x1b': '\\e',
    '\b': '\\b',
    '\x07': '\\a',
    '\f': '\\f',
    '\v': '\\v',
    '"': '\\"',
    '\\': '\\\\',
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are escaped
  return `"${text.replace(/[\x00-\x1f"\\\x7f-\x9f\ufeff]/g, (char) => short[char] ?? `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)}"`
}
