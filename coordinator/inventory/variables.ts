import { filterNames } from '../template/filters.ts'
import { isTemplate, render } from '../template/render.ts'
import { omit, TemplateError, type TemplateScope } from '../template/template.ts'
import { testNames } from '../template/tests.ts'
import { isMapping, type Mapping } from './mapping.ts'
import type { Position } from './problems.ts'
import { nearest } from './suggest.ts'
import { isFromFile, UnsafeText, valueAt } from './yaml-source.ts'

/** A variable's value that is worked out when somebody asks for it, in the context of a host. */
export class Computed {
  readonly of: (inventoryName: string) => unknown
  constructor(of: (inventoryName: string) => unknown) {
    this.of = of
  }
}

/** A value that could not be rendered, and where the text stands that is to blame. */
export class VariableError extends Error {
  readonly at: Position | undefined
  readonly instead: string | undefined
  /** The name of the secret file that is not here. */
  readonly missingSecret: string | undefined
  constructor(message: string, at: Position | undefined, instead: string | undefined, missingSecret?: string) {
    super(message)
    this.name = 'VariableError'
    this.at = at
    this.instead = instead
    this.missingSecret = missingSecret
  }
}

export type Lookup = (plugin: string, args: readonly unknown[], options: ReadonlyMap<string, unknown>, scope: HostScope) => unknown

export interface HostScope extends TemplateScope {
  readonly inventoryName: string
  /** Marks what is being rendered as made from a secret. */
  secret(): void
  render(text: string): unknown
}

interface Known {
  readonly value: unknown
  readonly secret: boolean
}

/**
 * Variables of hosts and pseudo-hosts, rendered when asked for and kept. Each is rendered once for a host; strings that
 * came from a secret in whole or in part are remembered, so that they can be masked.
 */
export class Variables {
  readonly #merged = new Map<string, Mapping>()
  readonly #known = new Map<string, Map<string, Known>>()
  readonly #asked: string[] = []
  readonly #secretTexts = new Set<string>()
  readonly #layers: (inventoryName: string) => readonly Mapping[]
  readonly #names: readonly string[]
  readonly #lookup: Lookup
  readonly #scopes = new Map<string, HostScope>()
  readonly hostvars: Mapping
  readonly #notice: (text: string) => void
  #sawSecret = false
  /** How many templates are being rendered, one for another. */
  #depth = 0
  /** How many values were left open so far. */
  #leftOpen = 0
  #strict = false

  /** `layers` answers a host's variables from the weakest to the strongest. */
  constructor(names: readonly string[], layers: (inventoryName: string) => readonly Mapping[], lookup: Lookup, notice: (text: string) => void) {
    this.#notice = notice
    this.#names = names
    this.#layers = layers
    this.#lookup = lookup
    this.hostvars = this.#hostvars()
  }

  /** All variables of a host, not rendered. */
  raw(inventoryName: string): Mapping {
    const known = this.#merged.get(inventoryName)
    if (known !== undefined) return known
    const merged: Record<string, unknown> = Object.assign({}, ...this.#layers(inventoryName))
    this.#merged.set(inventoryName, merged)
    return merged
  }

  /** Rendered value; undefined when not defined, the omit symbol when it is to be left out. Throws VariableError. */
  get(inventoryName: string, name: string): unknown {
    const ofHost = this.#known.get(inventoryName) ?? new Map<string, Known>()
    this.#known.set(inventoryName, ofHost)
    const known = ofHost.get(name)
    if (known !== undefined) {
      if (known.secret) this.#sawSecret = true
      return known.value
    }
    const raw = this.raw(inventoryName)
    if (!Object.hasOwn(raw, name)) return undefined
    const asked = `${inventoryName}.${name}`
    const loop = this.#asked.indexOf(asked)
    if (loop >= 0) {
      const chain = [...this.#asked.slice(loop), asked].map((step) => step.slice(step.lastIndexOf('.') + 1))
      throw new VariableError(`the variable '${name}' is defined by itself: ${chain.join(' → ')}`, this.place(inventoryName, name), 'break the circle')
    }
    this.#asked.push(asked)
    const before = this.#sawSecret
    this.#sawSecret = false
    const leftOpen = this.#leftOpen
    try {
      const value = this.resolve(inventoryName, raw[name], placeIn(this.#layers(inventoryName), name))
      if (this.#leftOpen === leftOpen) ofHost.set(name, { value, secret: this.#sawSecret })
      return value
    } finally {
      this.#sawSecret = before || this.#sawSecret
      this.#asked.pop()
    }
  }

  /** As `get`, but throws for a value that would be left open for want of a secret file. */
  getWhole(inventoryName: string, name: string): unknown {
    const before = this.#strict
    this.#strict = true
    try {
      return this.get(inventoryName, name)
    } finally {
      this.#strict = before
    }
  }

  /** Where a variable's value is written; undefined when no file holds it. */
  place(inventoryName: string, name: string): Position | undefined {
    return placeIn(this.#layers(inventoryName), name)
  }

  /** Renders all templates in a value in the context of a host; members that are `omit` are left out. */
  resolve(inventoryName: string, value: unknown, at?: Position): unknown {
    if (typeof value === 'string') return isTemplate(value) ? this.#text(inventoryName, value, at) : value
    if (value instanceof Computed) return value.of(inventoryName)
    if (value instanceof UnsafeText) return value.text
    if (Array.isArray(value)) {
      return value.map((item, index) => this.resolve(inventoryName, item, isFromFile(value) ? valueAt(value, index) : at)).filter((item) => item !== omit)
    }
    if (isMapping(value) && !(value === this.hostvars)) {
      const resolved: Record<string, unknown> = {}
      for (const [key, member] of Object.entries(value)) {
        const rendered = this.resolve(inventoryName, member, isFromFile(value) ? valueAt(value, key) : at)
        if (rendered === omit) continue
        const name = isTemplate(key) ? String(this.#text(inventoryName, key, at)) : key
        resolved[name] = rendered
      }
      return resolved
    }
    return value
  }

  #text(inventoryName: string, text: string, at: Position | undefined): unknown {
    const before = this.#sawSecret
    this.#sawSecret = false
    this.#depth++
    try {
      const value = render(text, this.scope(inventoryName))
      if (this.#sawSecret) this.#remember(value)
      // What a template yields may hold templates itself only where it came from a variable, which is rendered already.
      return value
    } catch (thrown) {
      const mistake = thrown instanceof TemplateError ? templateMistake(thrown, text, at, Object.keys(this.raw(inventoryName))) : thrown
      if (mistake instanceof VariableError && mistake.missingSecret !== undefined && this.#depth === 1 && !this.#strict)
        return this.#leaveOpen(mistake, mistake.missingSecret)
      throw mistake
    } finally {
      this.#depth--
      this.#sawSecret = before || this.#sawSecret
    }
  }

  /** Stands for a value that can't be made without a secret file; masked like what would come out of it. */
  #leaveOpen(mistake: VariableError, file: string): string {
    const where = mistake.at === undefined ? '' : `${mistake.at.file}:${mistake.at.line}:${mistake.at.column}: `
    this.#notice(`${where}${mistake.message}: what is made from it is left open; it is needed to deploy`)
    const open = `<${file} is missing>`
    this.#remember(open)
    this.#leftOpen++
    return open
  }

  #remember(value: unknown): void {
    if (typeof value === 'string') {
      if (value.length >= 3) this.#secretTexts.add(value)
    } else if (Array.isArray(value)) for (const item of value) this.#remember(item)
    else if (isMapping(value)) for (const item of Object.values(value)) this.#remember(item)
  }

  /** Texts made from generated passwords and secret files, as far as they were asked for. */
  get secretTexts(): readonly string[] {
    return [...this.#secretTexts]
  }

  /** Whether the text was made from a generated password or a secret file. */
  isSecret(text: string): boolean {
    return this.#secretTexts.has(text)
  }

  rememberSecret(value: unknown): void {
    this.#remember(value)
  }

  scope(inventoryName: string): HostScope {
    const known = this.#scopes.get(inventoryName)
    if (known !== undefined) return known
    const scope: HostScope = {
      inventoryName,
      variable: (name) => {
        if (name === 'hostvars') return this.hostvars
        // Jinja's word is none; sites write `x if … else null` and mean to leave the key out.
        if (name === 'omit' || (name === 'null' && !Object.hasOwn(this.raw(inventoryName), name))) return omit
        return this.get(inventoryName, name)
      },
      lookup: (plugin, args, options) => this.#lookup(plugin, args, options, scope),
      secret: () => {
        this.#sawSecret = true
      },
      render: (text) => render(text, scope),
    }
    this.#scopes.set(inventoryName, scope)
    return scope
  }

  /** `hostvars`: every host's variables, rendered when they are read. */
  #hostvars(): Mapping {
    const known = new Set(this.#names)
    const ofHost = new Map<string, Mapping>()
    const hostOf = (name: string): Mapping | undefined => {
      if (!known.has(name)) return undefined
      const made =
        ofHost.get(name) ??
        lazyMapping(
          () => Object.keys(this.raw(name)),
          (variable) => this.get(name, variable),
        )
      ofHost.set(name, made)
      return made
    }
    return lazyMapping(() => this.#names, hostOf)
  }
}

const lazyMapping = (keys: () => readonly string[], get: (key: string) => unknown): Mapping =>
  new Proxy<Record<string, unknown>>(
    {},
    {
      get: (_, key) => (typeof key === 'string' ? get(key) : undefined),
      has: (_, key) => typeof key === 'string' && keys().includes(key),
      ownKeys: () => [...keys()],
      getOwnPropertyDescriptor: (_, key) =>
        typeof key === 'string' && keys().includes(key) ? { configurable: true, enumerable: true, writable: false, value: get(key) } : undefined,
    },
  )

const placeIn = (layers: readonly Mapping[], name: string): Position | undefined => {
  const holder = layers.findLast((layer) => Object.hasOwn(layer, name))
  return holder !== undefined && isFromFile(holder) ? valueAt(holder, name) : undefined
}

/** Where an offset of a text stands, as near as the text's style tells. */
const placeOfOffset = (at: Position | undefined, text: string, offset: number): Position | undefined => {
  if (at?.text === undefined) return at
  const before = text.slice(0, offset).split('\n')
  return { file: at.file, line: at.text.line + before.length - 1, column: at.text.column + (before.at(-1)?.length ?? 0) }
}

const insteadOf = (error: TemplateError): string | undefined => {
  if (error.problem === 'syntax') return 'correct the template'
  const near = error.problem === 'unsupported' && error.variable !== undefined ? nearest(error.variable, [...filterNames, ...testNames]) : undefined
  return near === undefined ? undefined : `did you mean ${near}?`
}

const templateMistake = (error: TemplateError, text: string, whole: Position | undefined, names: readonly string[]): VariableError => {
  const at = placeOfOffset(whole, text, error.offset)
  if (error.problem === 'missing-secret') return new VariableError(error.message, at, undefined, error.variable)
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
  if (error.problem === 'undefined' && error.variable !== undefined) {
    const near = nearest(error.variable, names)
    return new VariableError(
      `the variable '${error.variable}' is not defined (in ${JSON.stringify(shown)})`,
      at,
      `${near === undefined ? '' : `did you mean ${near}? `}define it in group_vars or host_vars, or write {{ ${error.variable} | default(…) }}`,
    )
  }
  return new VariableError(`${error.message} (in ${JSON.stringify(shown)})`, at, insteadOf(error))
}
