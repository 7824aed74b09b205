/** a.b and a[b]: Jinja looks at attributes first for a dot, at items first for brackets; what is missing is Undefined. */
import { method } from './methods.ts'
import { Callable, defined, dictGet, dictHas, Group, isDict, Namespace, toNumber, typeName, Undefined } from './values.ts'

/** `path` is the name of the target for messages, undefined when it has none. */
export function getAttribute(target: unknown, name: string, path: string | undefined): unknown {
  if (target instanceof Undefined) return target
  const bound = method(target, name)
  if (bound !== undefined) return bound
  const item = ownItem(target, name)
  return item === undefined ? missing(target, name, path) : item
}

export function getItem(target: unknown, keyValue: unknown, path: string | undefined): unknown {
  if (target instanceof Undefined) return target
  const key = defined(keyValue)
  const plain = defined(target)
  if (isDict(plain)) {
    if (dictHas(plain, key)) return dictGet(plain, key)
  } else if ((typeof plain === 'string' || Array.isArray(plain)) && typeof key !== 'string') {
    const index = toNumber(key)
    if (index !== undefined && Number.isInteger(index)) {
      const items: readonly unknown[] = typeof plain === 'string' ? [...plain] : plain
      const place = index < 0 ? index + items.length : index
      if (place >= 0 && place < items.length) return items[place]
    }
  }
  const attribute = typeof key === 'string' ? (method(plain, key) ?? (isDict(plain) ? undefined : ownItem(plain, key))) : undefined
  return attribute === undefined ? missing(plain, key, path) : attribute
}

function ownItem(target: unknown, name: string): unknown {
  if (target instanceof Namespace) return target.values.get(name)
  if (target instanceof Group) return name === 'grouper' ? target[0] : name === 'list' ? target[1] : undefined
  if (target instanceof Callable) return name === 'name' ? target.name : undefined
  return isDict(target) && dictHas(target, name) ? dictGet(target, name) : undefined
}

function missing(target: unknown, key: unknown, path: string | undefined): Undefined {
  const owner = isDict(target) ? 'dict object' : `${typeName(target)} object`
  const name = typeof key === 'string' && /^\w+$/.test(key) && !/^\d/.test(key) ? `.${key}` : `[${typeof key === 'string' ? `'${key}'` : String(key)}]`
  const full = path === undefined ? undefined : path + name
  const what = typeof key === 'string' ? `attribute '${key}'` : `element ${String(key)}`
  return new Undefined(full, `'${owner}' has no ${what}${full === undefined ? '' : ` (${full})`}`)
}

/** 'a.b.0' as filters such as map(attribute=…) take it. */
export function getPath(target: unknown, path: unknown): unknown {
  const plain = defined(path)
  if (typeof plain !== 'string') return getItem(target, plain, undefined)
  return plain.split('.').reduce((value, part) => getItem(value, /^\d+$/.test(part) ? Number(part) : part, undefined), target)
}
