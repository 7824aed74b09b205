/** Expressions, evaluated in a Frame: names of the template first, then the scope, then globals. */
import { getAttribute, getItem } from './access.ts'
import type { CallArguments, Expression } from './ast.ts'
import { findFilter } from './filters.ts'
import { global } from './globals.ts'
import { binary, compare, negate, slice } from './operators.ts'
import { TemplateError, type TemplateScope } from './template.ts'
import { findTest } from './tests.ts'
import { str } from './text.ts'
import { Arguments, Callable, defined, dictOf, Fault, isDict, iterate, plainText, Tuple, toNumber, truthy, typeName, Undefined } from './values.ts'

/** What one render shares: its scope and the place it is at, for the offset of an error. */
export interface Run {
  readonly scope: TemplateScope
  at: number
}

/** What filters and tests get: they may call one another, as map('upper') does. */
export interface Toolbox {
  filter(name: string, value: unknown, args: Arguments): unknown
  test(name: string, value: unknown, args: Arguments): boolean
}

export class Frame implements Toolbox {
  readonly run: Run
  private readonly parent: Frame | undefined
  private readonly names = new Map<string, unknown>()
  constructor(run: Run, parent?: Frame) {
    this.run = run
    this.parent = parent
  }

  set(name: string, value: unknown): undefined {
    this.names.set(name, value)
  }

  local(name: string): unknown {
    for (let frame: Frame | undefined = this; frame !== undefined; frame = frame.parent) {
      if (frame.names.has(name)) return frame.names.get(name)
    }
    return undefined
  }

  lookup(name: string): unknown {
    const local = this.local(name)
    if (local !== undefined) return local
    const value = this.fromScope(name)
    if (value !== undefined) return value
    return global(name, this.run.scope) ?? new Undefined(name, `'${name}' is undefined`)
  }

  /** A variable that itself needs something undefined is undefined too, and fails only when it is used. */
  private fromScope(name: string): unknown {
    try {
      return this.run.scope.variable(name)
    } catch (error) {
      if (!(error instanceof TemplateError) || error.problem !== 'undefined') throw error
      return new Undefined(error.variable ?? name, `'${name}': ${error.message}`)
    }
  }

  filter(name: string, value: unknown, args: Arguments): unknown {
    const filter = findFilter(name)
    if (filter === undefined) throw new Fault('unsupported', `no filter named '${name}'`, name)
    const result = filter(filter.takesUndefined === true ? plainText(value) : defined(value), args, this)
    args.finish(`filter '${name}'`)
    return result
  }

  test(name: string, value: unknown, args: Arguments): boolean {
    const test = findTest(name)
    if (test === undefined) throw new Fault('unsupported', `no test named '${name}'`, name)
    const result = test(plainText(value), args, this)
    args.finish(`test '${name}'`)
    return result
  }
}

export function evaluate(node: Expression, frame: Frame): unknown {
  const of = (inner: Expression) => evaluate(inner, frame)
  switch (node.kind) {
    case 'literal':
      return node.value
    case 'name':
      frame.run.at = node.at
      return frame.lookup(node.name)
    case 'list':
      return node.items.map(of)
    case 'tuple':
      return Tuple.of2(...node.items.map(of))
    case 'dict':
      return dictOf(node.entries.map(([key, value]) => [of(key), of(value)] as const))
    case 'attribute': {
      const target = of(node.target)
      if (target instanceof Undefined) return target
      frame.run.at = node.at
      return getAttribute(target, node.name, pathOf(node.target))
    }
    case 'item': {
      const target = of(node.target)
      if (target instanceof Undefined) return target
      const key = of(node.key)
      frame.run.at = node.at
      return getItem(target, key, pathOf(node.target))
    }
    case 'slice':
      return evaluateSlice(node, frame)
    case 'call':
      return evaluateCall(node, frame)
    case 'filter': {
      const target = of(node.target)
      const args = evaluateArguments(node.args, frame)
      frame.run.at = node.at
      return frame.filter(node.name, target, args)
    }
    case 'test': {
      const target = of(node.target)
      const args = evaluateArguments(node.args, frame)
      frame.run.at = node.at
      return frame.test(node.name, target, args) !== node.negated
    }
    case 'not':
      return !truthy(of(node.operand))
    case 'minus':
    case 'plus': {
      const operand = of(node.operand)
      frame.run.at = node.at
      return node.kind === 'minus' ? negate(operand) : negate(negate(operand))
    }
    case 'and': {
      const left = of(node.left)
      return truthy(left) ? of(node.right) : left
    }
    case 'or': {
      const left = of(node.left)
      return truthy(left) ? left : of(node.right)
    }
    case 'binary': {
      const left = of(node.left)
      const right = of(node.right)
      frame.run.at = node.at
      return binary(node.operator, left, right)
    }
    case 'compare':
      return evaluateCompare(node, frame)
    case 'concat':
      return node.parts.map((part) => str(of(part))).join('')
    case 'if':
      if (truthy(of(node.condition))) return of(node.yes)
      if (node.otherwise !== undefined) return of(node.otherwise)
      return new Undefined(undefined, 'the inline if is false and has no else', true)
  }
}

/** The name a template writes for a value, for messages. */
function pathOf(node: Expression): string | undefined {
  if (node.kind === 'name') return node.name
  if (node.kind !== 'attribute' && node.kind !== 'item') return undefined
  const target = pathOf(node.target)
  if (target === undefined) return undefined
  if (node.kind === 'attribute') return `${target}.${node.name}`
  const key = node.key.kind === 'literal' ? (typeof node.key.value === 'string' ? `'${node.key.value}'` : String(node.key.value)) : (pathOf(node.key) ?? '…')
  return `${target}[${key}]`
}

function evaluateSlice(node: Expression & { kind: 'slice' }, frame: Frame): unknown {
  const target = evaluate(node.target, frame)
  const bounds = node.bounds.map((bound) => {
    const value = bound === undefined ? null : defined(evaluate(bound, frame))
    if (value === null) return undefined
    const number = toNumber(value)
    if (number === undefined) throw new Fault('type', 'slice indices must be integers')
    return number
  })
  frame.run.at = node.at
  return slice(target, bounds)
}

function evaluateCompare(node: Expression & { kind: 'compare' }, frame: Frame): boolean {
  let left = evaluate(node.first, frame)
  for (const [operator, next] of node.rest) {
    const right = evaluate(next, frame)
    frame.run.at = node.at
    if (!compare(operator, left, right)) return false
    left = right
  }
  return true
}

function evaluateCall(node: Expression & { kind: 'call' }, frame: Frame): unknown {
  const callee = evaluate(node.target, frame)
  const args = evaluateArguments(node.args, frame)
  frame.run.at = node.at
  const found = defined(callee)
  if (!(found instanceof Callable)) throw new Fault('type', `'${typeName(found)}' is not callable`)
  const result = found.call(args)
  args.finish(`${found.name}()`)
  return result
}

export function evaluateArguments(call: CallArguments, frame: Frame): Arguments {
  const positional = call.positional.map((one) => evaluate(one, frame))
  if (call.spread !== undefined) positional.push(...iterate(evaluate(call.spread, frame)))
  const named = new Map(call.named.map(([name, value]) => [name, evaluate(value, frame)] as const))
  if (call.spreadNamed !== undefined) {
    const more = defined(evaluate(call.spreadNamed, frame))
    if (!isDict(more)) throw new Fault('type', 'the argument after ** must be a dict')
    for (const key of iterate(more)) named.set(str(key), getItem(more, key, undefined))
  }
  return new Arguments(positional, named)
}
