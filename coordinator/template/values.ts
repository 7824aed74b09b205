/**
 * Values as templates see them. Text, booleans, null, numbers, arrays and plain objects are themselves; what JavaScript
 * does not tell apart (tuple and list, 5.0 and 5) has a class here and never leaves a render.
 */
import { types } from 'node:util'
import { omit, type TemplateProblem } from './template.ts'

/** A fault met while evaluating; render() adds the place and makes a TemplateError of it. */
export class Fault extends Error {
  readonly problem: TemplateProblem
  readonly variable: string | undefined
  constructor(problem: TemplateProblem, message: string, variable?: string) {
    super(message)
    this.problem = problem
    this.variable = variable
  }
}

/** Something that is not there. It may be passed around; only using it fails. */
export class Undefined {
  /** The name with its attribute path; undefined for an inline if without else and for undef(). */
  readonly variable: string | undefined
  readonly message: string
  /** An inline if without else: not defined, but used it is empty text. */
  readonly lenient: boolean
  constructor(variable: string | undefined, message: string, lenient = false) {
    this.variable = variable
    this.message = message
    this.lenient = lenient
  }
  /** What using it gives; throws unless it is lenient. */
  use(): '' {
    if (this.lenient) return ''
    throw this.fault()
  }
  fault(): Fault {
    return new Fault('undefined', this.message, this.variable)
  }
}

export class Tuple extends Array<unknown> {
  static of2(...items: unknown[]): Tuple {
    const tuple = new Tuple()
    for (const item of items) tuple.push(item)
    return tuple
  }
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }
}

/** One entry of groupby: a pair that also has names. */
export class Group extends Tuple {
  static make(grouper: unknown, list: unknown[]): Group {
    const group = new Group()
    group.push(grouper, list)
    return group
  }
}

/** A float whose value is a whole number: it prints as 5.0. Other floats are plain numbers. */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Text of to_json and its like: as a whole result it stays text even if it looks like a list or a dict. */
export class VerbatimText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export class Namespace {
  readonly values = new Map<string, unknown>()
}

/** A function a template can call: a method bound to its value, a macro, or a global. */
export class Callable {
  readonly name: string
  readonly call: (args: Arguments) => unknown
  constructor(name: string, call: (args: Arguments) => unknown) {
    this.name = name
    this.call = call
  }
}

export type Dict = Record<string, unknown>

/** Arguments of a call. A named argument nobody asked for is a fault, as it is in Python. */
export class Arguments {
  readonly positional: readonly unknown[]
  readonly named: ReadonlyMap<string, unknown>
  private readonly asked = new Set<string>()
  constructor(positional: readonly unknown[], named: ReadonlyMap<string, unknown> = new Map()) {
    this.positional = positional
    this.named = named
  }
  /** The argument, undefined when it is not given; may be an Undefined. */
  raw(index: number, name: string): unknown {
    this.asked.add(name)
    return index < this.positional.length ? this.positional[index] : this.named.get(name)
  }
  get(index: number, name: string): unknown {
    const value = this.raw(index, name)
    return value instanceof Undefined ? value.use() : value
  }
  need(index: number, name: string): unknown {
    const value = this.get(index, name)
    if (value === undefined) throw new Fault('type', `argument '${name}' is missing`)
    return value
  }
  text(index: number, name: string, otherwise?: string): string {
    const value = plainText(this.get(index, name) ?? otherwise)
    if (typeof value !== 'string') throw new Fault('type', `argument '${name}' must be text, not ${typeName(value)}`)
    return value
  }
  number(index: number, name: string, otherwise?: number): number {
    const value = this.get(index, name) ?? otherwise
    const number = toNumber(value)
    if (number === undefined) throw new Fault('type', `argument '${name}' must be a number, not ${typeName(value)}`)
    return number
  }
  flag(index: number, name: string, otherwise = false): boolean {
    const value = this.get(index, name)
    return value === undefined ? otherwise : truthy(value)
  }
  /** All named arguments, for callees that take any. */
  allNamed(): ReadonlyMap<string, unknown> {
    for (const name of this.named.keys()) this.asked.add(name)
    return this.named
  }
  finish(callee: string): void {
    for (const name of this.named.keys()) {
      if (!this.asked.has(name)) throw new Fault('type', `${callee} has no argument '${name}'`)
    }
  }
}

/** VerbatimText is text to everything but the end of a render. */
export function plainText(value: unknown): unknown {
  return value instanceof VerbatimText ? value.text : value
}

export function defined(value: unknown): unknown {
  return value instanceof Undefined ? value.use() : plainText(value)
}

export function isText(value: unknown): value is string {
  return typeof value === 'string'
}

export function isList(value: unknown): value is unknown[] {
  return Array.isArray(value)
}

const classesHere = [Undefined, Float, VerbatimText, Namespace, Callable, Date, RegExp]

export function isDict(value: unknown): value is Dict | Map<unknown, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !classesHere.some((one) => value instanceof one)
}

export function makeFloat(value: number): number | Float {
  return Number.isInteger(value) ? new Float(value) : value
}

export function isFloat(value: unknown): boolean {
  return value instanceof Float || (typeof value === 'number' && !Number.isInteger(value))
}

/** Number of an int, float or bool; undefined for all else. */
export function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (value instanceof Float) return value.value
  return typeof value === 'boolean' ? Number(value) : undefined
}

export function dictKeys(dict: Dict | Map<unknown, unknown>): unknown[] {
  return dict instanceof Map ? [...dict.keys()] : Object.keys(dict)
}

export function dictHas(dict: Dict | Map<unknown, unknown>, key: unknown): boolean {
  if (dict instanceof Map) return dict.has(key)
  return isKey(key) && Object.hasOwn(dict, keyText(key)) && dict[keyText(key)] !== undefined
}

export function dictGet(dict: Dict | Map<unknown, unknown>, key: unknown): unknown {
  return dict instanceof Map ? dict.get(key) : dict[keyText(key)]
}

export function dictEntries(dict: Dict | Map<unknown, unknown>): [unknown, unknown][] {
  return dictKeys(dict).map((key) => [key, dictGet(dict, key)])
}

/** Keys of dicts made here are text, as in the JSON form of an inventory. */
export function dictSet(dict: Dict | Map<unknown, unknown>, key: unknown, value: unknown): void {
  const plain = defined(key)
  if (!isKey(plain)) throw new Fault('type', `unhashable type: '${typeName(plain)}'`)
  if (dict instanceof Map) dict.set(plain, value)
  else Object.defineProperty(dict, keyText(plain), { value, writable: true, enumerable: true, configurable: true })
}

export function dictOf(entries: Iterable<readonly [unknown, unknown]>): Dict {
  const dict: Dict = {}
  for (const [key, value] of entries) dictSet(dict, key, value)
  return dict
}

function isKey(key: unknown): boolean {
  return key === null || ['string', 'number', 'boolean'].includes(typeof key) || key instanceof Float || key instanceof Tuple || key instanceof VerbatimText
}

export function keyText(key: unknown): string {
  if (typeof key === 'string') return key
  if (key instanceof VerbatimText) return key.text
  if (key === null) return 'null'
  if (key instanceof Float) return String(key.value)
  return String(key)
}

export function truthy(value: unknown): boolean {
  if (value instanceof Undefined) return value.use() !== ''
  if (value === null || value === undefined || value === false || value === '' || value === 0) return false
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Float) return value.value !== 0
  if (value instanceof VerbatimText) return value.text !== ''
  if (value instanceof Map) return value.size > 0
  if (isDict(value)) {
    for (const _ in value) return true
    return Object.keys(value).length > 0
  }
  return true
}

/** The items a loop would see. */
export function iterate(value: unknown): unknown[] {
  const plain = defined(value)
  if (Array.isArray(plain)) return plain
  if (typeof plain === 'string') return [...plain]
  if (isDict(plain)) return dictKeys(plain)
  throw new Fault('type', `'${typeName(plain)}' is not iterable`)
}

/** The name of the type in Python, for messages and type_debug. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType'
  if (value instanceof Undefined) return 'AnsibleUndefined'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  if (value instanceof Float) return 'float'
  if (typeof value === 'string' || value === omit || value instanceof VerbatimText) return 'str'
  if (value instanceof Tuple) return 'tuple'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Callable) return 'function'
  if (value instanceof Namespace) return 'Namespace'
  return 'dict'
}

/**
 * The value as it leaves a render: tuples are lists, whole floats numbers, and anything undefined inside a fault. Proxies
 * and getters belong to the inventory, which holds neither, and are not touched.
 */
export function settle(value: unknown): unknown {
  if (value instanceof Undefined) return value.use()
  if (value instanceof Float) return value.value
  if (value instanceof VerbatimText) return value.text
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return value
  if (Array.isArray(value)) {
    let changed = value instanceof Tuple
    const items = value.map((item) => {
      const settled = settle(item)
      changed ||= settled !== item
      return settled
    })
    return changed ? items : value
  }
  if (value instanceof Namespace) return dictOf(value.values)
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return settleDict(value as Dict)
}

function settleDict(value: Dict): unknown {
  let copy: Dict | undefined
  for (const key of Object.keys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key)
    if (property === undefined || property.get !== undefined) continue
    const settled = settle(property.value)
    if (settled === property.value) continue
    copy ??= Object.defineProperties({}, Object.getOwnPropertyDescriptors(value)) as Dict
    dictSet(copy, key, settled)
  }
  return copy ?? value
}
