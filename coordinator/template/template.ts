/**
 * The border between templates and the inventory: Ansible's Jinja2 dialect, evaluated lazily in the scope of one host or
 * pseudo-host.
 */

/** Ansible's `omit`: the key whose value this is, is left out. */
export const omit: unique symbol = Symbol('omit')

export interface TemplateScope {
  /** The resolved value of a variable (its own templates rendered); undefined when it is not defined. */
  variable(name: string): unknown
  /** lookup('PLUGIN', …); throws TemplateError for what it does not know. */
  lookup(plugin: string, args: readonly unknown[], options: ReadonlyMap<string, unknown>): unknown
}

export type TemplateProblem = 'syntax' | 'undefined' | 'type' | 'unsupported' | 'lookup' | 'missing-secret'

export class TemplateError extends Error {
  readonly problem: TemplateProblem
  /** Offset in the template's source, 0-based. */
  readonly offset: number
  /** For 'undefined': the name that is not defined. For 'unsupported': the filter or test that is not known. For 'missing-secret': the file. */
  readonly variable: string | undefined

  constructor(problem: TemplateProblem, message: string, offset: number, variable?: string) {
    super(message)
    this.name = 'TemplateError'
    this.problem = problem
    this.offset = offset
    this.variable = variable
  }
}
