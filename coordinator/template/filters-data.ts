/** Filters that decide, convert or encode values. */
import { createHash, getHashes } from 'node:crypto'
import type { Filter, Filters } from './filters.ts'
import { dumpJson, loadJson } from './json.ts'
import { str } from './text.ts'
import { type Arguments, Fault, toNumber, truthy, typeName, Undefined, VerbatimText } from './values.ts'
import { dumpYaml, loadYaml } from './yaml.ts'

const otherwise: Filter = Object.assign(
  (value: unknown, args: Arguments) => {
    const fallback = args.raw(0, 'default_value') ?? ''
    const alsoFalse = args.flag(1, 'boolean')
    return value instanceof Undefined || (alsoFalse && !truthy(value)) ? fallback : value
  },
  { takesUndefined: true },
)

const mandatory: Filter = Object.assign(
  (value: unknown, args: Arguments) => {
    const message = args.get(0, 'msg') ?? null
    if (!(value instanceof Undefined)) return value
    const name = value.variable === undefined ? '' : `'${value.variable}' `
    throw new Fault('undefined', message === null ? `Mandatory variable ${name}not defined.` : str(message), value.variable)
  },
  { takesUndefined: true },
)

const typeDebug: Filter = Object.assign((value: unknown) => typeName(value), { takesUndefined: true })

function bool(value: unknown): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return ['yes', 'on', '1', 'true'].includes(value.toLowerCase())
  return toNumber(value) === 1
}

function hash(algorithm: string, value: unknown): string {
  if (!getHashes().includes(algorithm)) throw new Fault('type', `unsupported hash type ${algorithm}`)
  return createHash(algorithm).update(str(value), 'utf8').digest('hex')
}

function json(value: unknown, args: Arguments, nice: boolean): VerbatimText {
  const indent = args.get(nice ? 0 : Number.POSITIVE_INFINITY, 'indent') ?? (nice ? 4 : undefined)
  const separators = args.get(Number.POSITIVE_INFINITY, 'separators')
  const text = dumpJson(value, {
    indent: toNumber(indent),
    sortKeys: args.flag(nice ? 1 : Number.POSITIVE_INFINITY, 'sort_keys', nice),
    asciiOnly: args.flag(Number.POSITIVE_INFINITY, 'ensure_ascii', true),
    separators: Array.isArray(separators) ? [str(separators[0]), str(separators[1])] : undefined,
  })
  return new VerbatimText(text)
}

function yaml(value: unknown, args: Arguments, nice: boolean): VerbatimText {
  const flow = args.get(Number.POSITIVE_INFINITY, 'default_flow_style') ?? null
  const text = dumpYaml(value, {
    indent: args.number(nice ? 0 : Number.POSITIVE_INFINITY, 'indent', nice ? 4 : 2),
    flowLeaves: !nice && flow !== false,
    sortKeys: args.flag(Number.POSITIVE_INFINITY, 'sort_keys', true),
    width: args.number(Number.POSITIVE_INFINITY, 'width', 80),
  })
  return new VerbatimText(text)
}

/** As tojson of Jinja: keys sorted, and nothing in it that ends a script element. */
function tojson(value: unknown, args: Arguments): string {
  const indent = args.get(0, 'indent') ?? undefined
  const text = dumpJson(value, { indent: toNumber(indent), sortKeys: true })
  return text.replace(/[<>&']/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
}

function unsupported(name: string, why: string): Filter {
  return () => {
    throw new Fault('unsupported', `filter '${name}' is not supported: ${why}`)
  }
}

export const dataFilters: Filters = {
  default: otherwise,
  d: otherwise,
  mandatory,
  type_debug: typeDebug,
  bool,
  ternary: (value, args) => {
    const whenNull = args.raw(2, 'none_val') ?? null
    const [yes, no] = [args.raw(0, 'true_val'), args.raw(1, 'false_val')]
    if (yes === undefined || no === undefined) throw new Fault('type', 'ternary needs two values')
    if (value === null && whenNull !== null) return whenNull
    return truthy(value) ? yes : no
  },
  to_json: (value, args) => json(value, args, false),
  to_nice_json: (value, args) => json(value, args, true),
  tojson,
  to_yaml: (value, args) => yaml(value, args, false),
  to_nice_yaml: (value, args) => yaml(value, args, true),
  from_json: (value) => loadJson(str(value)),
  from_yaml: (value) => (typeof value === 'string' ? loadYaml(value) : value),
  b64encode: (value) => Buffer.from(str(value), 'utf8').toString('base64'),
  b64decode: (value) => Buffer.from(str(value), 'base64').toString('utf8'),
  hash: (value, args) => hash(args.text(0, 'hashtype', 'sha1'), value),
  md5: (value) => hash('md5', value),
  sha1: (value) => hash('sha1', value),
  checksum: (value) => hash('sha1', value),
  password_hash: unsupported('password_hash', 'its random salt makes every render differ'),
  random: unsupported('random', 'every render would differ'),
  shuffle: unsupported('shuffle', 'every render would differ'),
}
