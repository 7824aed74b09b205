/**
 * Templates of an inventory, with the results ansible-core 2.14 to 2.16 gives (its default, not native, Jinja).
 *
 * This is an evaluator of its own because an inventory needs what template libraries for JavaScript do not give: variables
 * asked for only when a template reaches them (hostvars of hundreds of pseudo-hosts), native values and `omit` coming out
 * of a template, Python's text forms, and the offset of every error.
 *
 * Results: a template that is just {{ name }} has the value of that variable. Of other templates a single list, dict or
 * boolean stays one, null is empty text, numbers are text, and text that reads as a list, a dict, True or False becomes
 * that value, except straight out of string, to_json, to_nice_json, to_yaml and to_nice_yaml.
 */
import type { Expression, Statement } from './ast.ts'
import { evaluate as evaluateExpression, Frame, type Run } from './evaluate.ts'
import { execute, finish } from './execute.ts'
import { parseExpression, parseTemplate } from './statements.ts'
import { TemplateError, type TemplateScope } from './template.ts'
import { Fault, settle } from './values.ts'

/** Compiled sources kept at most; the oldest goes first. */
const cacheLimit = 5000

class Cache<T> {
  private readonly compiled = new Map<string, T>()
  private readonly compile: (source: string) => T
  constructor(compile: (source: string) => T) {
    this.compile = compile
  }
  get(source: string): T {
    const known = this.compiled.get(source)
    if (known !== undefined) return known
    const made = this.compile(source)
    if (this.compiled.size >= cacheLimit) {
      const oldest = this.compiled.keys().next()
      if (oldest.done !== true) this.compiled.delete(oldest.value)
    }
    this.compiled.set(source, made)
    return made
  }
}

const templates = new Cache<readonly Statement[]>(parseTemplate)
const expressions = new Cache<Expression>(parseExpression)
const singleVariable = /^\{\{\s*(\w*)\s*\}\}\n?$/

/** Whether the text has a mark that opens output, a statement or a comment. */
export function isTemplate(source: string): boolean {
  return source.includes('{{') || source.includes('{%') || source.includes('{#')
}

/** The value of a template; text without marks is itself. Throws TemplateError; errors of the scope pass through. */
export function render(source: string, scope: TemplateScope): unknown {
  if (!isTemplate(source)) return source
  const name = singleVariable.exec(source)?.[1]
  if (name !== undefined) {
    const value = place({ scope, at: source.indexOf(name) }, () => scope.variable(name))
    if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
  }
  const statements = templates.get(source)
  const run: Run = { scope, at: 0 }
  const result = place(run, () => {
    const output: unknown[] = []
    execute(statements, new Frame(run), output)
    return finish(output)
  })
  return typeof result === 'string' ? keepNewlines(source, result) : result
}

/** The value of a bare expression, as conditions are written. Numbers and null stay what they are. */
export function evaluate(expression: string, scope: TemplateScope): unknown {
  const node = expressions.get(expression)
  const run: Run = { scope, at: 0 }
  return place(run, () => settle(evaluateExpression(node, new Frame(run))))
}

function place<T>(run: Run, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Fault) throw new TemplateError(error.problem, error.message, run.at, error.variable)
    // A text, a list or a recursion beyond what the engine holds.
    if (error instanceof RangeError) throw new TemplateError('type', 'it makes a value that is too large or too deep', run.at)
    throw error
  }
}

/** A result ends with at least as many newlines as its source. */
function keepNewlines(source: string, result: string): string {
  const missing = trailingNewlines(source) - trailingNewlines(result)
  return missing > 0 ? result + '\n'.repeat(missing) : result
}

function trailingNewlines(text: string): number {
  return text.length - text.replace(/\n+$/, '').length
}
