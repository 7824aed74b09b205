/** Statements. Their output is a list of pieces; finish() makes the value of a template of it as Ansible does. */
import type { Statement, Target } from './ast.ts'
import { evaluate, evaluateArguments, Frame } from './evaluate.ts'
import { parseLiteral } from './literal.ts'
import { equals } from './operators.ts'
import { omit } from './template.ts'
import { str } from './text.ts'
import { type Arguments, Callable, dictOf, Fault, Float, iterate, Namespace, settle, Tuple, truthy, Undefined, VerbatimText } from './values.ts'

export function execute(statements: readonly Statement[], frame: Frame, output: unknown[]): undefined {
  for (const statement of statements) step(statement, frame, output)
}

/**
 * The value of a template's output: a single list, dict or boolean stays what it is, nothing and null are empty text, and
 * text that reads as a list, a dict, True or False becomes that. Numbers become text.
 */
export function finish(output: readonly unknown[]): unknown {
  const single = output.length === 1 ? output[0] : undefined
  if (single instanceof VerbatimText) return single.text
  if (Array.isArray(single) && !(single instanceof Tuple)) return settle(single)
  if (typeof single === 'object' && single !== null && !(single instanceof Tuple) && !(single instanceof Float) && !(single instanceof Date)) {
    if (!(single instanceof Callable) && !(single instanceof Namespace)) return settle(single)
  }
  const texts = output.filter((piece) => piece !== null && piece !== '')
  if (texts.length === 1 && texts[0] === omit) return omit
  const text = texts.map(str).join('')
  if (text === 'True' || text === 'False') return text === 'True'
  const literal = /^[[{]/.test(text) ? parseLiteral(text) : undefined
  return literal === undefined ? text : settle(literal)
}

function step(node: Statement, frame: Frame, output: unknown[]): undefined {
  switch (node.kind) {
    case 'text':
      output.push(node.text)
      return
    case 'output': {
      const value = evaluate(node.expression, frame)
      output.push(value instanceof Undefined ? value.use() : value)
      return
    }
    case 'do':
      evaluate(node.expression, frame)
      return
    case 'if':
      for (const [condition, body] of node.branches) {
        if (truthy(evaluate(condition, frame))) return execute(body, frame, output)
      }
      return execute(node.otherwise, frame, output)
    case 'for':
      return loop(node, frame, output)
    case 'set':
      return assign(node.target, evaluate(node.value, frame), frame)
    case 'block-set': {
      const value = captured(node.body, frame)
      return assign(node.target, filtered(value, node.filters, frame), frame)
    }
    case 'filter':
      output.push(filtered(str(captured(node.body, frame)), node.filters, frame))
      return
    case 'with': {
      const values = node.bindings.map(([target, expression]) => [target, evaluate(expression, frame)] as const)
      const inner = new Frame(frame.run, frame)
      for (const [target, value] of values) assign(target, value, inner)
      return execute(node.body, inner, output)
    }
    case 'macro':
      return frame.set(node.name, macro(node, frame))
  }
}

function captured(body: readonly Statement[], frame: Frame): unknown {
  const pieces: unknown[] = []
  execute(body, new Frame(frame.run, frame), pieces)
  return finish(pieces)
}

function filtered(start: unknown, filters: (Statement & { kind: 'filter' })['filters'], frame: Frame): unknown {
  return filters.reduce((value, { name, args }) => frame.filter(name, value, evaluateArguments(args, frame)), start)
}

function assign(target: Target, value: unknown, frame: Frame): undefined {
  if (target.kind === 'name') return frame.set(target.name, value)
  if (target.kind === 'namespace') {
    const namespace = frame.local(target.name)
    if (!(namespace instanceof Namespace)) throw new Fault('type', `'${target.name}' is not a namespace`)
    namespace.values.set(target.attribute, value)
    return
  }
  const items = iterate(value)
  if (items.length !== target.items.length) throw new Fault('type', `cannot unpack ${items.length} values into ${target.items.length} names`)
  for (const [index, item] of target.items.entries()) assign(item, items[index], frame)
}

function loop(node: Statement & { kind: 'for' }, frame: Frame, output: unknown[]): undefined {
  const source = evaluate(node.source, frame)
  frame.run.at = node.source.at
  let items = iterate(source)
  const condition = node.condition
  if (condition !== undefined) {
    items = items.filter((item) => {
      const inner = new Frame(frame.run, frame)
      assign(node.target, item, inner)
      return truthy(evaluate(condition, inner))
    })
  }
  if (items.length === 0) return execute(node.otherwise, new Frame(frame.run, frame), output)
  const memory: { changed?: readonly unknown[] } = {}
  for (let index = 0; index < items.length; index += 1) {
    const inner = new Frame(frame.run, frame)
    inner.set('loop', loopState(items, index, memory))
    assign(node.target, items[index], inner)
    execute(node.body, inner, output)
  }
}

function loopState(items: readonly unknown[], index: number, memory: { changed?: readonly unknown[] }): Namespace {
  const state = new Namespace()
  const { length } = items
  const neighbour = (at: number, name: string) => (at >= 0 && at < length ? items[at] : new Undefined(`loop.${name}`, `there is no ${name}`))
  const entries: [string, unknown][] = [
    ['index', index + 1],
    ['index0', index],
    ['revindex', length - index],
    ['revindex0', length - index - 1],
    ['first', index === 0],
    ['last', index === length - 1],
    ['length', length],
    ['depth', 1],
    ['depth0', 0],
    ['previtem', neighbour(index - 1, 'previtem')],
    ['nextitem', neighbour(index + 1, 'nextitem')],
    ['cycle', new Callable('cycle', (args) => args.positional[index % args.positional.length])],
    ['changed', new Callable('changed', (args) => differs(args.positional, memory))],
  ]
  for (const [name, value] of entries) state.values.set(name, value)
  return state
}

function differs(values: readonly unknown[], memory: { changed?: readonly unknown[] }): boolean {
  const same = memory.changed !== undefined && equals([...memory.changed], [...values])
  memory.changed = values
  return !same
}

function macro(node: Statement & { kind: 'macro' }, frame: Frame): Callable {
  return new Callable(node.name, (args: Arguments) => {
    const inner = new Frame(frame.run, frame)
    for (const [index, parameter] of node.parameters.entries()) {
      const given = args.raw(index, parameter.name)
      if (given !== undefined) inner.set(parameter.name, given)
      else if (parameter.otherwise !== undefined) inner.set(parameter.name, evaluate(parameter.otherwise, inner))
      else inner.set(parameter.name, new Undefined(parameter.name, `parameter '${parameter.name}' of ${node.name} was not given`))
    }
    inner.set('varargs', args.positional.slice(node.parameters.length))
    const known = new Set(node.parameters.map((parameter) => parameter.name))
    inner.set('kwargs', dictOf([...args.named].filter(([name]) => !known.has(name))))
    const pieces: unknown[] = []
    execute(node.body, inner, pieces)
    return finish(pieces)
  })
}
