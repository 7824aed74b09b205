/** Python's two ways to format: 'text %s' % value and 'text {}'.format(value). */
import { getAttribute, getItem } from './access.ts'
import { floatText, numberText, repr, str } from './text.ts'
import { type Arguments, defined, dictGet, dictHas, Fault, isDict, isFloat, Tuple, toNumber, typeName } from './values.ts'

const percentPattern = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])/g

export function percentFormat(format: string, values: unknown): string {
  const items = values instanceof Tuple ? [...values] : [values]
  let next = 0
  const take = () => {
    if (next >= items.length) throw new Fault('type', 'not enough arguments for format string')
    return items[next++]
  }
  let named = false
  const text = format.replace(percentPattern, (_, name: string | undefined, flags: string, width: string, precision: string | undefined, type: string) => {
    if (type === '%') return '%'
    const size = width === '*' ? Number(take()) : Number(width || 0)
    const digits = precision === '*' ? Number(take()) : precision === undefined ? undefined : Number(precision)
    if (name !== undefined) named = true
    const value = name === undefined ? take() : namedValue(values, name)
    return pad(percentValue(value, type, digits, flags), size, flags.includes('-') ? '<' : '>', ' ', flags.includes('0') && type !== 's')
  })
  if (!named && next < items.length && !isDict(values)) throw new Fault('type', 'not all arguments converted during string formatting')
  return text
}

function namedValue(values: unknown, name: string): unknown {
  if (!isDict(values) || !dictHas(values, name)) throw new Fault('type', `format needs a value named '${name}'`)
  return dictGet(values, name)
}

function percentValue(value: unknown, type: string, precision: number | undefined, flags: string): string {
  if (type === 's') return str(defined(value)).slice(0, precision)
  if (type === 'r' || type === 'a') return repr(value).slice(0, precision)
  if (type === 'c' && typeof value === 'string') return value
  const number = toNumber(defined(value))
  if (number === undefined) throw new Fault('type', `%${type} format: a number is required, not ${typeName(value)}`)
  const integer = 'diu'.includes(type) ? 'd' : type
  const body = numeric(integer === 'd' ? Math.trunc(number) : number, integer, precision ?? ('eEfFgG'.includes(type) ? 6 : undefined), flags.includes('#'))
  return number >= 0 && /[+ ]/.test(flags) ? `${flags.includes('+') ? '+' : ' '}${body}` : body
}

function numeric(value: number, type: string, precision: number | undefined, alternate = false): string {
  const sign = value < 0 ? '-' : ''
  const size = Math.abs(value)
  switch (type) {
    case 'd':
      return sign + numberText(size).padStart(precision ?? 0, '0')
    case 'x':
      return `${sign}${alternate ? '0x' : ''}${size.toString(16)}`
    case 'X':
      return `${sign}${alternate ? '0X' : ''}${size.toString(16).toUpperCase()}`
    case 'o':
      return `${sign}${alternate ? '0o' : ''}${size.toString(8)}`
    case 'b':
      return `${sign}${alternate ? '0b' : ''}${size.toString(2)}`
    case 'c':
      return String.fromCodePoint(value)
    case 'f':
    case 'F':
      return fixed(value, precision ?? 6)
    case 'e':
    case 'E': {
      const text = value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2')
      return type === 'E' ? text.toUpperCase() : text
    }
    default: {
      const text = general(value, Math.max(1, precision ?? 6))
      return type === 'G' ? text.toUpperCase() : text
    }
  }
}

/** Python rounds an exact half to the even digit. */
function fixed(value: number, digits: number): string {
  const scaled = value * 10 ** digits
  const low = Math.floor(scaled)
  return scaled - low === 0.5 && low % 2 === 0 ? (low / 10 ** digits).toFixed(digits) : value.toFixed(digits)
}

function general(value: number, precision: number): string {
  const exponent = value === 0 ? 0 : Number(value.toExponential(precision - 1).split('e')[1])
  if (exponent < -4 || exponent >= precision) {
    return value
      .toExponential(precision - 1)
      .replace(/\.?0+e/, 'e')
      .replace(/e([+-])(\d)$/, 'e$10$2')
  }
  const text = value.toFixed(Math.max(0, precision - 1 - exponent))
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

function pad(text: string, width: number, align: string, fill: string, zero = false): string {
  const missing = width - [...text].length
  if (missing <= 0) return text
  if (zero || align === '=') {
    const sign = /^[-+ ]/.test(text) ? 1 : 0
    return text.slice(0, sign) + (zero ? '0' : fill).repeat(missing) + text.slice(sign)
  }
  if (align === '<') return text + fill.repeat(missing)
  if (align === '^') return fill.repeat(Math.floor(missing / 2)) + text + fill.repeat(Math.ceil(missing / 2))
  return fill.repeat(missing) + text
}

const bracePattern = /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::((?:[^{}]|\{[^{}]*\})*))?\}|[{}]/g

export function braceFormat(format: string, args: Arguments): string {
  let next = 0
  const named = args.allNamed()
  const field = (path: string): unknown => {
    const head = /^[^.[]*/.exec(path)?.[0] ?? ''
    const key = head === '' ? String(next++) : head
    const index = Number(key)
    let value = /^\d+$/.test(key) ? args.positional[index] : named.get(key)
    if (value === undefined) throw new Fault('type', `format() has no value for '{${key}}'`)
    for (const step of path.slice(head.length).matchAll(/\.(\w+)|\[([^\]]*)\]/g)) {
      const item = step[2]
      value = item === undefined ? getAttribute(value, step[1] ?? '', undefined) : getItem(value, /^\d+$/.test(item) ? Number(item) : item, undefined)
    }
    return defined(value)
  }
  return format.replace(bracePattern, (whole, path: string | undefined, conversion: string | undefined, spec: string | undefined) => {
    if (whole === '{{') return '{'
    if (whole === '}}') return '}'
    if (path === undefined) throw new Fault('type', `single '${whole}' in format text`)
    const value = field(path)
    const converted = conversion === undefined ? value : conversion === 's' ? str(value) : repr(value)
    const resolved = (spec ?? '').replace(/\{([^{}]*)\}/g, (_, inner: string) => str(field(inner)))
    return formatValue(converted, resolved)
  })
}

const specPattern = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su

function formatValue(value: unknown, spec: string): string {
  if (spec === '') return str(value)
  const found = specPattern.exec(spec)
  if (found === null) throw new Fault('type', `invalid format specifier '${spec}'`)
  const [, fill, align, sign, alternate, zero, width, group, digits, type] = found
  const number = toNumber(value)
  const precision = digits === undefined ? undefined : Number(digits)
  if (number === undefined || (typeof value === 'boolean' && type === undefined)) {
    return pad(str(value).slice(0, precision), Number(width ?? 0), align ?? '<', fill ?? ' ')
  }
  let text = numberFormat(number, isFloat(value), type, precision, alternate !== undefined)
  if (group !== undefined) text = text.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, group))
  if (number >= 0 && sign !== undefined && sign !== '-') text = sign + text
  return pad(text, Number(width ?? 0), align ?? '>', fill ?? ' ', zero !== undefined && align === undefined)
}

function numberFormat(number: number, float: boolean, type: string | undefined, precision: number | undefined, alternate: boolean): string {
  if (type === '%') return `${(number * 100).toFixed(precision ?? 6)}%`
  if (type === undefined) {
    if (!float) return numberText(number)
    return precision === undefined ? floatText(number) : general(number, precision)
  }
  if (type === 'n') return float ? general(number, precision ?? 6) : numberText(number)
  return numeric(number, type, precision, alternate)
}
