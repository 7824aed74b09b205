/**
 * Python literals (with JSON's true, false and null), which Ansible makes of a rendered text that starts with [ or {.
 * Anything else is not a literal and the text stays text.
 */
import { unescapeText } from './text.ts'
import { dictOf, makeFloat, Tuple } from './values.ts'

class NotALiteral extends Error {}

const words: Readonly<Record<string, unknown>> = { True: true, False: false, None: null, true: true, false: false, null: null }
const numberPattern = /(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/y
const stringPattern = /([rRuU]?)('''(?:[^\\]|\\[\s\S])*?'''|"""(?:[^\\]|\\[\s\S])*?"""|'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")/y
const spacePattern = /(?:[\s\f]|\\\n|#[^\n]*)*/y
const wordPattern = /[A-Za-z_]\w*/y

/** The value of a literal; undefined when the text is none. */
export function parseLiteral(source: string): unknown {
  try {
    const reader = new LiteralReader(source)
    const value = reader.value()
    reader.space()
    return reader.at === source.length ? value : undefined
  } catch (error) {
    if (error instanceof NotALiteral || error instanceof RangeError) return undefined
    throw error
  }
}

class LiteralReader {
  at = 0
  private readonly source: string
  constructor(source: string) {
    this.source = source
  }

  value(): unknown {
    this.space()
    const char = this.source[this.at]
    if (char === '[') return this.items(']')
    if (char === '(') return this.parenthesis()
    if (char === '{') return this.braces()
    if (char === '-' || char === '+') return this.signed(char)
    return this.scalar()
  }

  space(): void {
    this.match(spacePattern)
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)
    if (found !== null) this.at = pattern.lastIndex
    return found
  }

  private eat(char: string): boolean {
    this.space()
    if (this.source[this.at] !== char) return false
    this.at += 1
    return true
  }

  private need(char: string): void {
    if (!this.eat(char)) throw new NotALiteral()
  }

  private signed(sign: string): unknown {
    this.at += 1
    const value = this.value()
    if (typeof value === 'number') return sign === '-' ? -value : value
    throw new NotALiteral()
  }

  private scalar(): unknown {
    let text: string | undefined
    for (let part = this.match(stringPattern); part !== null; this.space(), part = this.match(stringPattern)) {
      const quoted = part[2] ?? ''
      const width = /^('''|""")/.test(quoted) ? 3 : 1
      const body = quoted.slice(width, -width)
      text = (text ?? '') + (/r/i.test(part[1] ?? '') ? body : unescapeText(body))
    }
    if (text !== undefined) return text
    const number = this.match(numberPattern)?.[0]
    if (number !== undefined) return this.number(number.replaceAll('_', ''))
    const word = this.match(wordPattern)?.[0]
    if (word !== undefined && Object.hasOwn(words, word)) return words[word]
    throw new NotALiteral()
  }

  private number(text: string): unknown {
    if (/^0\d*[1-9]\d*$/.test(text) || /^[\w]/.test(this.source[this.at] ?? '')) throw new NotALiteral()
    const value = Number(text)
    if (Number.isNaN(value)) throw new NotALiteral()
    return /^0[xob]/i.test(text) || !/[.e]/i.test(text) ? value : plainFloat(value)
  }

  private items(end: string): unknown[] {
    this.at += 1
    const items: unknown[] = []
    while (!this.eat(end)) {
      items.push(this.value())
      if (!this.eat(',')) {
        this.need(end)
        break
      }
    }
    return items
  }

  private parenthesis(): unknown {
    const start = this.at
    const items = this.items(')')
    const inner = this.source.slice(start + 1, this.at - 1).trimEnd()
    return items.length === 1 && !inner.endsWith(',') ? items[0] : Tuple.of2(...items)
  }

  private braces(): unknown {
    this.at += 1
    const entries: [unknown, unknown][] = []
    const members: unknown[] = []
    while (!this.eat('}')) {
      const key = this.value()
      if (members.length === 0 && this.eat(':')) entries.push([key, this.value()])
      else if (entries.length === 0) members.push(key)
      else throw new NotALiteral()
      if (!this.eat(',')) {
        this.need('}')
        break
      }
    }
    return members.length > 0 ? members : this.dict(entries)
  }

  private dict(entries: [unknown, unknown][]): unknown {
    if (entries.some(([key]) => typeof key === 'object' && key !== null && !(key instanceof Tuple))) throw new NotALiteral()
    return dictOf(entries)
  }
}

function plainFloat(value: number): number {
  const float = makeFloat(value)
  return typeof float === 'number' ? float : float.value
}
