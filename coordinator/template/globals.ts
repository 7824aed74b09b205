/** Names every template has. A variable of the same name comes before them. */
import { omit, TemplateError, type TemplateScope } from './template.ts'
import { str } from './text.ts'
import { type Arguments, Callable, dictEntries, dictOf, Fault, isDict, iterate, Namespace, settle, Undefined } from './values.ts'

/** Longest range a template may make; more is a mistake. */
const rangeLimit = 1_000_000

export function global(name: string, scope: TemplateScope): unknown {
  switch (name) {
    case 'omit':
      return omit
    case 'range':
      return new Callable(name, range)
    case 'dict':
      return new Callable(name, (args) => dictOf([...pairs(args), ...args.allNamed()]))
    case 'namespace':
      return new Callable(name, (args) => {
        const made = new Namespace()
        for (const [key, value] of [...pairs(args), ...args.allNamed()]) made.values.set(str(key), value)
        return made
      })
    case 'lookup':
      return new Callable(name, (args) => lookup(scope, args, false))
    case 'query':
    case 'q':
      return new Callable(name, (args) => lookup(scope, args, true))
    case 'undef':
      return new Callable(name, (args) => {
        const hint = args.get(0, 'hint')
        return new Undefined(undefined, hint === undefined || hint === null || hint === '' ? 'Mandatory variable has not been overridden' : str(hint))
      })
    case 'now':
      return new Callable(name, () => {
        throw new Fault('unsupported', 'now() would make every plan differ from the last')
      })
    default:
      return undefined
  }
}

function pairs(args: Arguments): [unknown, unknown][] {
  const source = args.positional.length > 0 ? args.get(0, 'source') : undefined
  if (source === undefined) return []
  return isDict(source) ? dictEntries(source) : iterate(source).map((pair) => iterate(pair) as [unknown, unknown])
}

function range(args: Arguments): number[] {
  const first = args.number(0, 'start')
  const alone = args.positional.length < 2
  const start = alone ? 0 : first
  const stop = alone ? first : args.number(1, 'stop')
  const step = args.number(2, 'step', 1)
  if (step === 0) throw new Fault('type', 'range() step must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > rangeLimit) throw new Fault('type', `range() of ${length} numbers is more than ${rangeLimit}`)
  return Array.from({ length }, (_, index) => start + index * step)
}

/** query() is lookup() whose answer is always a list. With errors=ignore or warn a failing lookup gives nothing. */
function lookup(scope: TemplateScope, args: Arguments, list: boolean): unknown {
  const plugin = args.text(0, 'plugin')
  const terms = args.positional.slice(1).map(settle)
  const options = new Map([...args.allNamed()].map(([key, value]) => [key, settle(value)] as const))
  const wantList = list || options.get('wantlist') === true
  const errors = options.get('errors')
  options.delete('errors')
  options.delete('allow_unsafe')
  if (wantList) options.set('wantlist', true)
  try {
    const found = scope.lookup(plugin, terms, options)
    return wantList && !Array.isArray(found) ? [found] : found
  } catch (error) {
    if (error instanceof TemplateError && error.problem === 'lookup' && (errors === 'ignore' || errors === 'warn')) return wantList ? [] : null
    throw error
  }
}
