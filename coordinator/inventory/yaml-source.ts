import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type Scalar } from 'yaml'
import type { Findings, Position } from './problems.ts'

/** Text that must reach its user as it is, with no template in it rendered (`!unsafe`). */
export class UnsafeText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

interface Place {
  readonly key: Position | undefined
  readonly value: Position
  /** A plain scalar's text before YAML made a number, a boolean or null of it. */
  readonly written: string | undefined
}

/** Where the members of the mappings and lists that were read from files stand in them. */
const places = new WeakMap<object, Map<string | number, Place>>()
const starts = new WeakMap<object, Position>()

/** Where the value under `key` stands; the container's own place when the key is not written. */
export const valueAt = (container: object, key: string | number): Position => places.get(container)?.get(key)?.value ?? startOf(container)
/** Where the key itself stands. */
export const keyAt = (container: object, key: string | number): Position => places.get(container)?.get(key)?.key ?? valueAt(container, key)
/** The text of a plain scalar as written (`53:53`), where YAML reads something other than text. */
export const writtenAt = (container: object, key: string | number): string | undefined => places.get(container)?.get(key)?.written
export const startOf = (container: object): Position => starts.get(container) ?? { file: '', line: 1, column: 1 }
/** An empty mapping that stands for one that is not written, at the place where it would be. */
export const emptyAt = (at: Position): Record<string, unknown> => {
  const mapping = {}
  starts.set(mapping, at)
  return mapping
}
export const isFromFile = (container: object): boolean => starts.has(container)

// PyYAML's implicit types: YAML 1.1 without y/n, and exponents only with a point and a sign.
const boolPattern = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/
const nullPattern = /^(?:~|null|Null|NULL|)$/
const intPattern = /^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)$/
const floatPattern =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/

const sexagesimal = (digits: string): number => digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)

const intOf = (text: string): number | string => {
  const digits = text.replaceAll('_', '')
  const sign = digits.startsWith('-') ? -1 : 1
  const bare = digits.replace(/^[-+]/, '')
  const value = bare.includes(':')
    ? sexagesimal(bare)
    : /^0[bx]/.test(bare)
      ? Number(bare)
      : bare.length > 1 && bare.startsWith('0')
        ? Number.parseInt(bare, 8)
        : Number(bare)
  return Number.isSafeInteger(value) ? sign * value : text
}

const floatOf = (text: string): number => {
  const digits = text.replaceAll('_', '').toLowerCase()
  const sign = digits.startsWith('-') ? -1 : 1
  const bare = digits.replace(/^[-+]/, '')
  if (bare === '.inf') return sign * Number.POSITIVE_INFINITY
  if (bare === '.nan') return Number.NaN
  return sign * (bare.includes(':') ? sexagesimal(bare) : Number(bare))
}

/** What PyYAML makes of a plain scalar. */
export const plainScalar = (text: string): string | number | boolean | null => {
  if (nullPattern.test(text)) return null
  if (boolPattern.test(text)) return /^(?:yes|true|on)$/i.test(text)
  if (intPattern.test(text)) return intOf(text)
  if (floatPattern.test(text)) return floatOf(text)
  return text
}

// A few aliases of aliases make a file of more values than a machine can hold.
const mostValues = 1_000_000

class Reader {
  readonly #file: string
  readonly #text: string
  readonly #lines: LineCounter
  readonly #findings: Findings
  readonly #done = new Map<Node, unknown>()
  /** How many values each mapping and list holds, those of its aliases included. */
  readonly #sizes = new Map<unknown, number>()
  #size = 0
  #isTooLarge = false
  /** The mappings and lists that are being read, outermost first. */
  readonly #within = new Set<unknown>()
  readonly #document: ReturnType<typeof parseDocument>

  constructor(file: string, text: string, lines: LineCounter, document: ReturnType<typeof parseDocument>, findings: Findings) {
    this.#file = file
    this.#text = text
    this.#lines = lines
    this.#document = document
    this.#findings = findings
  }

  position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) }
  }

  at(node: unknown): Position {
    const start = (node as Node | null)?.range?.[0] ?? 0
    const at = this.position(start)
    if (!isScalar(node) || node.type !== 'BLOCK_LITERAL') return at
    const indent = /^[^\n]*\n(?:\s*\n)*( *)/.exec(this.#text.slice(start))?.[1] ?? ''
    return { ...at, text: { line: at.line + 1, column: indent.length + 1 } }
  }

  value(node: unknown, path: string): unknown {
    if (node === null || node === undefined) return null
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target === undefined) {
        this.#findings.problem(this.at(node), path, `the anchor *${node.source} is not defined`)
        return null
      }
      if (this.#within.has(target)) {
        this.#findings.problem(this.at(node), path, `the anchor *${node.source} is used within itself`, 'write the value out')
        return null
      }
      this.#size += this.#sizes.get(target) ?? 0
      if (this.#size > mostValues) {
        if (!this.#isTooLarge)
          this.#findings.problem(
            this.at(node),
            path,
            `with its aliases written out, the file has more than ${mostValues} values`,
            'use fewer aliases of aliases',
          )
        this.#isTooLarge = true
        return null
      }
      return this.value(target, path)
    }
    this.#size++
    const known = this.#done.get(node as Node)
    if (known !== undefined) return known
    if (isScalar(node)) return this.#scalar(node, path)
    if (!isSeq(node) && !isMap(node)) return null
    this.#within.add(node)
    const before = this.#size
    const made = isSeq(node) ? this.#list(node, path) : this.#mapping(node, path)
    this.#within.delete(node)
    this.#sizes.set(node, this.#size - before)
    return made
  }

  #scalar(node: Scalar, path: string): unknown {
    const text = String(node.value ?? '')
    switch (node.tag) {
      case '!unsafe':
        return new UnsafeText(text)
      case '!vault':
      case '!vault-encrypted':
        this.#findings.problem(
          this.at(node),
          path,
          'values encrypted with ansible-vault are not supported',
          "keep it in a file that is not in the repository and write \"{{ lookup('file', inventory_dir | dirname + '/secrets.yml') | from_yaml }}\"",
        )
        return text
      case 'tag:yaml.org,2002:str':
      case '!':
        return text
      default:
        return node.type === 'PLAIN' || node.type === undefined ? plainScalar(text) : text
    }
  }

  #list(node: Node & { items: readonly unknown[] }, path: string): unknown[] {
    const list: unknown[] = []
    const members = new Map<string | number, Place>()
    this.#done.set(node, list)
    node.items.forEach((item, index) => {
      list.push(this.value(item, `${path}[${index}]`))
      members.set(index, { key: undefined, value: this.at(item), written: isScalar(item) && item.type === 'PLAIN' ? String(item.value) : undefined })
    })
    places.set(list, members)
    starts.set(list, this.at(node))
    return list
  }

  #mapping(node: Node & { items: readonly Pair[] }, path: string): Record<string, unknown> {
    const mapping: Record<string, unknown> = {}
    const members = new Map<string | number, Place>()
    this.#done.set(node, mapping)
    places.set(mapping, members)
    starts.set(mapping, this.at(node))
    const merges: Record<string, unknown>[] = []
    for (const pair of node.items) {
      const plainKey = isScalar(pair.key) && pair.key.type === 'PLAIN'
      const name = keyName(this.value(pair.key, path))
      if (plainKey && name === '<<') {
        const merged = this.value(pair.value, path)
        merges.push(...((Array.isArray(merged) ? merged : [merged]).filter((one) => typeof one === 'object' && one !== null) as Record<string, unknown>[]))
        continue
      }
      if (name === '__proto__') continue
      if (members.has(name)) this.#findings.noticeAt(this.at(pair.key), joined(path, name), 'is written twice in this mapping; the last one counts')
      const value = this.value(pair.value, joined(path, name))
      mapping[name] = value
      members.set(name, {
        key: this.at(pair.key),
        value: pair.value === null ? this.at(pair.key) : this.at(pair.value),
        written: isScalar(pair.value) && pair.value.type === 'PLAIN' ? String(pair.value.value) : undefined,
      })
    }
    for (const merged of merges) {
      for (const [name, value] of Object.entries(merged)) {
        if (Object.hasOwn(mapping, name)) continue
        mapping[name] = value
        members.set(name, { key: keyAt(merged, name), value: valueAt(merged, name), written: writtenAt(merged, name) })
      }
    }
    return mapping
  }
}

const keyName = (key: unknown): string => {
  if (key === true) return 'True'
  if (key === false) return 'False'
  if (key === null) return 'None'
  return typeof key === 'object' ? JSON.stringify(key) : String(key)
}

export const joined = (path: string, key: string | number): string => (typeof key === 'number' ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`)

/**
 * Reads YAML as PyYAML reads it (YAML 1.1: yes/no, octal, base-60 numbers, merge keys; last duplicate wins) and remembers
 * where everything stands. Mistakes go to `findings`; undefined when the text is not YAML.
 */
export const readYaml = (text: string, file: string, findings: Findings): unknown => {
  const lines = new LineCounter()
  const document = parseDocument(text, { schema: 'failsafe', version: '1.1', lineCounter: lines, uniqueKeys: false, prettyErrors: false, logLevel: 'error' })
  const reader = new Reader(file, text, lines, document, findings)
  for (const error of document.errors) {
    const at = reader.position(error.pos[0])
    if (error.code === 'MULTIPLE_DOCS')
      findings.problem(at, '', 'a second document begins here, and only one is read', 'put it into a file of its own, or remove the --- before it')
    else if (error.message.startsWith('Maximum call stack')) findings.problem(at, '', 'not valid YAML: nested too deep')
    else findings.problem(at, '', `not valid YAML: ${error.message.split('\n')[0]}`)
  }
  return document.errors.length > 0 ? undefined : reader.value(document.contents, '')
}

/** Gives a member of a made-up mapping the place of the member of a file it was taken from. */
export const adoptPlace = (container: object, key: string, from: object, fromKey: string): void => {
  const place = places.get(from)?.get(fromKey)
  if (place === undefined) return
  const members = places.get(container) ?? new Map<string | number, Place>()
  members.set(key, place)
  places.set(container, members)
  if (!starts.has(container)) starts.set(container, startOf(from))
}
