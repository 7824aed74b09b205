/** Tests: what follows `is`. */
import type { Toolbox } from './evaluate.ts'
import { compare, contains, equals } from './operators.ts'
import { pythonRegex } from './regex.ts'
import { str } from './text.ts'
import { type Arguments, Callable, defined, dictGet, dictHas, Fault, isDict, isFloat, iterate, toNumber, truthy, Undefined } from './values.ts'

export type Test = (value: unknown, args: Arguments, tools: Toolbox) => boolean

const comparing =
  (operator: string): Test =>
  (value, args) =>
    compare(operator, value, args.need(0, 'other'))

function regex(anchor: string): Test {
  return (value, args) => {
    const kind = anchor === '' ? args.text(3, 'match_type', 'search') : anchor
    const pattern = pythonRegex(args.text(0, 'pattern', ''), args.flag(1, 'ignorecase'), args.flag(2, 'multiline'))
    const match = pattern.exec(str(defined(value)))
    pattern.lastIndex = 0
    return match !== null && (kind === 'search' || (match.index === 0 && (kind !== 'fullmatch' || match[0].length === str(value).length)))
  }
}

const remainder = (value: unknown, by: number) => (((toNumber(defined(value)) ?? Number.NaN) % by) + by) % by
const allIn = (a: unknown, b: unknown) => iterate(a).every((item) => contains(iterate(b), item))
const present =
  (check: (value: unknown) => boolean): Test =>
  (value) =>
    check(defined(value))
const number = (value: unknown) => toNumber(value) !== undefined

function versionParts(value: unknown): (number | string)[] {
  return (str(defined(value)).match(/\d+|[a-z]+/g) ?? []).map((part) => (/^\d/.test(part) ? Number(part) : part))
}

function version(value: unknown, args: Arguments): boolean {
  const names: Readonly<Record<string, string>> = { eq: '==', '=': '==', lt: '<', le: '<=', gt: '>', ge: '>=', ne: '!=', '<>': '!=' }
  const operator = args.text(1, 'operator', 'eq')
  args.flag(2, 'strict')
  args.get(3, 'version_type')
  return compare(names[operator] ?? operator, versionParts(value), versionParts(args.need(0, 'version')))
}

/** The field of a task's result; false when it has none. */
function field(name: string, wanted: boolean): Test {
  return (value) => {
    const result = defined(value)
    if (!isDict(result)) throw new Fault('type', `the test '${name}' expects a dict`)
    return (dictHas(result, name) && truthy(dictGet(result, name))) === wanted
  }
}

const equal = comparing('==')
const greater = comparing('>')
const less = comparing('<')
const subset: Test = (value, args) => allIn(value, args.need(0, 'b'))
const superset: Test = (value, args) => allIn(args.need(0, 'b'), value)
const truth: Test = (value, args) => {
  const plain = defined(value)
  if (args.flag(0, 'convert_bool') && typeof plain === 'string') {
    const text = plain.toLowerCase().trim()
    if (['y', 'yes', 'on', '1', 'true', 't', '1.0'].includes(text)) return true
    if (['n', 'no', 'off', '0', 'false', 'f', '0.0'].includes(text)) return false
  }
  return truthy(plain)
}
const iterable = present((value) => typeof value === 'string' || Array.isArray(value) || isDict(value))

const tests: Readonly<Record<string, Test>> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: present((value) => value === null),
  boolean: present((value) => typeof value === 'boolean'),
  true: present((value) => value === true),
  false: present((value) => value === false),
  integer: present((value) => typeof value === 'number' && Number.isInteger(value)),
  float: present(isFloat),
  number: present(number),
  string: present((value) => typeof value === 'string'),
  mapping: present(isDict),
  sequence: iterable,
  iterable,
  callable: present((value) => value instanceof Callable),
  even: (value) => remainder(value, 2) === 0,
  odd: (value) => remainder(value, 2) === 1,
  divisibleby: (value, args) => remainder(value, args.number(0, 'num')) === 0,
  in: (value, args) => contains(args.need(0, 'seq'), value),
  contains: (value, args) => contains(value, args.need(0, 'value')),
  eq: equal,
  equalto: equal,
  '==': equal,
  ne: comparing('!='),
  '!=': comparing('!='),
  lt: less,
  lessthan: less,
  '<': less,
  le: comparing('<='),
  '<=': comparing('<='),
  gt: greater,
  greaterthan: greater,
  '>': greater,
  ge: comparing('>='),
  '>=': comparing('>='),
  sameas: (value, args) => {
    const [a, b] = [defined(value), args.need(0, 'other')]
    return a === b || (number(a) && number(b) && typeof a === typeof b && equals(a, b))
  },
  match: regex('match'),
  search: regex('search'),
  regex: regex(''),
  subset,
  issubset: subset,
  superset,
  issuperset: superset,
  truthy: truth,
  falsy: (value, args, tools) => !truth(value, args, tools),
  any: (value) => iterate(value).some(truthy),
  all: (value) => iterate(value).every(truthy),
  upper: present((value) => str(value) !== str(value).toLowerCase() && str(value) === str(value).toUpperCase()),
  lower: present((value) => str(value) !== str(value).toUpperCase() && str(value) === str(value).toLowerCase()),
  version,
  version_compare: version,
  failed: field('failed', true),
  succeeded: field('failed', false),
  success: field('failed', false),
  changed: field('changed', true),
  skipped: field('skipped', true),
}

export const testNames: readonly string[] = Object.keys(tests)

/** By its name, also with the collection before it. */
export function findTest(name: string): Test | undefined {
  const short = name.replace(/^ansible\.(?:builtin|legacy)\./, '')
  return Object.hasOwn(tests, short) ? tests[short] : undefined
}
