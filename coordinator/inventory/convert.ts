import { omit, TemplateError } from '../template/template.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings, Position } from './problems.ts'
import { durationNs } from './quantities.ts'
import type { VariableError, Variables } from './variables.ts'
import { isFromFile, joined, valueAt } from './yaml-source.ts'

/** Python's text of a value, as Ansible puts it into strings. */
export const textOf = (value: unknown): string => {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === omit

/** Reads the variables of one host or pseudo-host into types; what does not fit is reported, and read as not written. */
export class Converter {
  readonly #variables: Variables
  readonly #findings: Findings
  readonly #host: string
  readonly #prefix: string
  readonly #fallback: Position

  /** `prefix`: what problems call the holder (`services.web`); `fallback`: where they point when no file holds the variable. */
  constructor(variables: Variables, findings: Findings, host: string, prefix: string, fallback: Position) {
    this.#variables = variables
    this.#findings = findings
    this.#host = host
    this.#prefix = prefix
    this.#fallback = fallback
  }

  path(name: string): string {
    return joined(this.#prefix, name.replace(/^hive_/, ''))
  }

  at(name: string): Position {
    return this.#variables.place(this.#host, name) ?? this.#fallback
  }

  /** Where a member of a variable stands, as far as files hold it: keys and indexes lead to it. */
  within(name: string, ...keys: readonly (string | number)[]): Position {
    let at = this.at(name)
    let holder: unknown = this.#variables.raw(this.#host)[name]
    for (const key of keys) {
      if (typeof holder !== 'object' || holder === null || !isFromFile(holder) || !Object.hasOwn(holder, key)) return at
      at = valueAt(holder, key)
      holder = (holder as Record<string | number, unknown>)[key]
    }
    return at
  }

  wrong(name: string, message: string, instead?: string, at?: Position): undefined {
    this.#findings.problem(at ?? this.at(name), this.path(name), message, instead)
    return undefined
  }

  notice(name: string, text: string): void {
    this.#findings.noticeAt(this.at(name), this.path(name), text)
  }

  /** The rendered value; undefined when it is not defined, null or omit, or can't be rendered. */
  value(name: string): unknown {
    try {
      const value = this.#variables.get(this.#host, name)
      return isAbsent(value) ? undefined : value
    } catch (thrown) {
      if (!isVariableError(thrown)) throw thrown
      if (!this.#tellAll(name, this.#variables.raw(this.#host)[name], undefined)) this.wrong(name, thrown.message, thrown.instead, thrown.at)
      return undefined
    }
  }

  /** Reports what can't be rendered of a mapping or list, member by member; answers whether there was anything. */
  #tellAll(name: string, raw: unknown, at: Position | undefined): boolean {
    if (typeof raw === 'object' && raw !== null && isFromFile(raw)) {
      return Object.entries(raw).reduce(
        (told, [key, member]) => this.#tellAll(name, member, valueAt(raw, Array.isArray(raw) ? Number(key) : key)) || told,
        false,
      )
    }
    if (typeof raw !== 'string' || at === undefined) return false
    try {
      this.#variables.resolve(this.#host, raw, at)
      return false
    } catch (thrown) {
      if (!isVariableError(thrown)) throw thrown
      this.wrong(name, thrown.message, thrown.instead, thrown.at)
      return true
    }
  }

  /** Renders something that is no variable of its own. */
  rendered(name: string, raw: unknown, at?: Position): unknown {
    return this.guarded(name, () => this.#variables.resolve(this.#host, raw, at))
  }

  guarded(name: string, make: () => unknown): unknown {
    try {
      const value = make()
      return isAbsent(value) ? undefined : value
    } catch (thrown) {
      if (isVariableError(thrown)) return this.wrong(name, thrown.message, thrown.instead, thrown.at)
      if (thrown instanceof TemplateError) return this.wrong(name, thrown.message)
      throw thrown
    }
  }

  text(name: string): string | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return textOf(value)
    return this.wrong(name, `must be text, but is ${describe(value)}`)
  }

  number(name: string): number | undefined {
    const value = this.value(name)
    if (value === undefined || value === '') return undefined
    const number = typeof value === 'string' ? Number(value) : value
    if (typeof number === 'number' && Number.isFinite(number)) return number
    return this.wrong(name, `must be a number, but is ${describe(value)}`)
  }

  wholeNumber(name: string): number | undefined {
    const number = this.number(name)
    if (number === undefined || (Number.isInteger(number) && number >= 0)) return number
    return this.wrong(name, `must be a whole number, but is ${number}`)
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.value(name)
    if (value === undefined) return otherwise
    if (typeof value === 'boolean') return value
    const text = String(value).toLowerCase()
    if (['true', 'yes', 'on', '1', 'y', 't'].includes(text)) return true
    if (['false', 'no', 'off', '0', 'n', 'f', ''].includes(text)) return false
    this.wrong(name, `must be True or False, but is ${describe(value)}`)
    return otherwise
  }

  /** A list of texts; a single text counts as a list of one. */
  texts(name: string): readonly string[] | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (Array.isArray(value))
      return value.filter((item) => !isAbsent(item)).map((item: unknown) => (isMapping(item) || Array.isArray(item) ? JSON.stringify(item) : textOf(item)))
    if (isMapping(value)) return this.wrong(name, 'must be a list, but is a mapping')
    return [textOf(value)]
  }

  /** The words of a command: a list as it is, a text split as a shell would. */
  words(name: string): readonly string[] | undefined {
    const value = this.value(name)
    return typeof value === 'string' ? shellWords(value) : this.texts(name)
  }

  mapping(name: string): Mapping | undefined {
    const value = this.value(name)
    if (value === undefined || isMapping(value)) return value
    return this.wrong(name, `must be a mapping, but is ${describe(value)}`)
  }

  list(name: string): readonly unknown[] {
    const value = this.value(name)
    if (value === undefined) return []
    if (Array.isArray(value)) return value
    this.wrong(name, `must be a list, but is ${describe(value)}`)
    return []
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], otherwise: T): T {
    const value = this.text(name)
    if (value === undefined) return otherwise
    const found = allowed.find((one) => one === value)
    if (found !== undefined) return found
    this.wrong(name, `'${value}' is not possible`, `write ${allowed.join(' or ')}`)
    return otherwise
  }

  duration(name: string, value: unknown, at?: Position): bigint | undefined {
    if (isAbsent(value)) return undefined
    const ns = durationNs(value)
    return ns ?? this.wrong(name, `${describe(value)} is no duration`, 'write a number with a unit, as 10s, 1m30s or 500ms', at)
  }
}

const isVariableError = (thrown: unknown): thrown is VariableError => thrown instanceof Error && thrown.name === 'VariableError'

/** Splits a command line into words as a POSIX shell does, without expanding anything. */
export const shellWords = (line: string): readonly string[] => {
  const words: string[] = []
  let word: string | undefined
  for (const match of line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|(\s+)|([^\s'"\\]+)/gs)) {
    const [, single, double, escaped, space, plain] = match
    if (space !== undefined) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '')
  }
  if (word !== undefined) words.push(word)
  return words
}
