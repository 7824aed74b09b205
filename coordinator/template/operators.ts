/** Arithmetic, comparison and membership with Python's rules. */
import { percentFormat } from './format.ts'
import {
  Callable,
  type Dict,
  defined,
  dictEntries,
  dictGet,
  dictHas,
  dictKeys,
  Fault,
  type Float,
  isDict,
  isFloat,
  makeFloat,
  Tuple,
  toNumber,
  typeName,
} from './values.ts'

/** Most characters or items that * may make. */
const repeatLimit = 10_000_000

export function binary(operator: string, leftValue: unknown, rightValue: unknown): unknown {
  const left = defined(leftValue)
  const right = defined(rightValue)
  if (operator === '%' && typeof left === 'string') return percentFormat(left, right)
  if (operator === '+' && typeof left === 'string' && typeof right === 'string') return left + right
  if (operator === '+' && Array.isArray(left) && Array.isArray(right) && left instanceof Tuple === right instanceof Tuple) {
    return left instanceof Tuple ? Tuple.of2(...left, ...right) : [...left, ...right]
  }
  if (operator === '*') {
    const repeated = repeat(left, right) ?? repeat(right, left)
    if (repeated !== undefined) return repeated
  }
  const a = toNumber(left)
  const b = toNumber(right)
  if (a === undefined || b === undefined) {
    throw new Fault('type', `unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`)
  }
  return arithmetic(operator, a, b, isFloat(left) || isFloat(right))
}

function repeat(value: unknown, times: unknown): unknown {
  if (typeof times !== 'number' || !Number.isInteger(times)) return undefined
  const count = Math.max(0, times)
  if ((typeof value === 'string' || Array.isArray(value)) && value.length * count > repeatLimit)
    throw new Fault('type', `a ${typeName(value)} of ${value.length * count} is more than ${repeatLimit}`)
  if (typeof value === 'string') return value.repeat(count)
  return Array.isArray(value) ? Array.from({ length: count }, () => value as unknown[]).flat() : undefined
}

function arithmetic(operator: string, a: number, b: number, float: boolean): number | Float {
  const result = (value: number) => (float ? makeFloat(value) : value)
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Fault('type', 'division by zero')
  switch (operator) {
    case '+':
      return result(a + b)
    case '-':
      return result(a - b)
    case '*':
      return result(a * b)
    case '/':
      return makeFloat(a / b)
    case '//':
      return result(Math.floor(a / b))
    case '%':
      return result(((a % b) + b) % b)
    case '**':
      return float || b < 0 ? makeFloat(a ** b) : a ** b
    default:
      throw new Fault('syntax', `unknown operator ${operator}`)
  }
}

export function negate(value: unknown): unknown {
  const number = toNumber(defined(value))
  if (number === undefined) throw new Fault('type', `bad operand type for unary -: '${typeName(value)}'`)
  return isFloat(value) ? makeFloat(-number) : 0 - number
}

export function equals(leftValue: unknown, rightValue: unknown): boolean {
  const left = defined(leftValue)
  const right = defined(rightValue)
  if (left === right) return true
  const a = toNumber(left)
  if (a !== undefined) return a === toNumber(right)
  if (Array.isArray(left) && Array.isArray(right)) {
    return left instanceof Tuple === right instanceof Tuple && left.length === right.length && left.every((item, index) => equals(item, right[index]))
  }
  if (!isDict(left) || !isDict(right) || left instanceof Callable || right instanceof Callable) return false
  const entries = dictEntries(left as Dict)
  return entries.length === dictKeys(right).length && entries.every(([key, value]) => dictHas(right, key) && equals(value, dictGet(right, key)))
}

/** Negative, zero or positive as left is before, at or after right. Throws 'type' where Python knows no order. */
export function order(leftValue: unknown, rightValue: unknown): number {
  const left = defined(leftValue)
  const right = defined(rightValue)
  const a = toNumber(left)
  const b = toNumber(right)
  if (a !== undefined && b !== undefined) return a - b
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right)
  if (Array.isArray(left) && Array.isArray(right)) {
    for (const [index, item] of left.entries()) {
      if (index >= right.length) return 1
      if (!equals(item, right[index])) return order(item, right[index])
    }
    return left.length - right.length
  }
  if (left instanceof Date && right instanceof Date) return left.getTime() - right.getTime()
  throw new Fault('type', `'<' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`)
}

/** By code points, as Python compares. */
function compareText(left: string, right: string): number {
  if (left === right) return 0
  const a = [...left]
  const b = [...right]
  for (const [index, char] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    if (char !== other) return (char.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0)
  }
  return -1
}

export function contains(containerValue: unknown, itemValue: unknown): boolean {
  const container = defined(containerValue)
  const item = defined(itemValue)
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item)
    throw new Fault('type', `'in <string>' requires string as left operand, not ${typeName(item)}`)
  }
  if (Array.isArray(container)) return container.some((one) => equals(one, item))
  if (isDict(container)) return dictHas(container, item)
  throw new Fault('type', `argument of type '${typeName(container)}' is not iterable`)
}

export function compare(operator: string, left: unknown, right: unknown): boolean {
  switch (operator) {
    case '==':
      return equals(left, right)
    case '!=':
      return !equals(left, right)
    case 'in':
      return contains(right, left)
    case 'not in':
      return !contains(right, left)
    case '<':
      return order(left, right) < 0
    case '<=':
      return order(left, right) <= 0
    case '>':
      return order(left, right) > 0
    default:
      return order(left, right) >= 0
  }
}

/** obj[start:stop:step] of text or a list. */
export function slice(value: unknown, bounds: readonly (number | undefined)[]): unknown {
  const plain = defined(value)
  if (typeof plain !== 'string' && !Array.isArray(plain)) throw new Fault('type', `'${typeName(plain)}' cannot be sliced`)
  const items: unknown[] = typeof plain === 'string' ? [...plain] : plain
  const [startBound, stopBound, stepBound] = bounds
  const step = stepBound ?? 1
  if (step === 0) throw new Fault('type', 'slice step cannot be zero')
  const low = step > 0 ? 0 : -1
  const high = step > 0 ? items.length : items.length - 1
  const clamp = (bound: number) => Math.min(high, Math.max(low, bound < 0 ? bound + items.length : bound))
  const start = startBound === undefined ? (step > 0 ? low : high) : clamp(startBound)
  const stop = stopBound === undefined ? (step > 0 ? high : low) : clamp(stopBound)
  const picked: unknown[] = []
  for (let index = start; step > 0 ? index < stop : index > stop; index += step) picked.push(items[index])
  if (typeof plain === 'string') return picked.join('')
  return plain instanceof Tuple ? Tuple.of2(...picked) : picked
}
