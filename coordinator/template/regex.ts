/** Python's regular expressions in JavaScript's. */
import { Fault } from './values.ts'

const wordClass = '\\p{L}\\p{N}_'
const boundary = `(?:(?<=[${wordClass}])(?![${wordClass}])|(?<![${wordClass}])(?=[${wordClass}]))`
const notBoundary = `(?:(?<=[${wordClass}])(?=[${wordClass}])|(?<![${wordClass}])(?![${wordClass}]))`
const sets: Readonly<Record<string, string>> = { w: wordClass, d: '\\p{Nd}', s: '\\s' }
const controls: Readonly<Record<string, string>> = { n: '\\n', r: '\\r', t: '\\t', f: '\\f', v: '\\v', a: '\\x07' }
const cache = new Map<string, RegExp>()
const cacheLimit = 1000

/** Compiled with the flags d, g and u. Throws 'type' for a pattern that is wrong, 'unsupported' for one without a counterpart. */
export function pythonRegex(pattern: string, ignoreCase = false, multiline = false): RegExp {
  const key = `${ignoreCase}${multiline}${pattern}`
  const known = cache.get(key)
  if (known !== undefined) {
    known.lastIndex = 0
    return known
  }
  const made = compile(pattern, ignoreCase, multiline)
  if (cache.size >= cacheLimit) cache.clear()
  cache.set(key, made)
  return made
}

function compile(pattern: string, ignoreCase: boolean, multiline: boolean): RegExp {
  const inline = /^\(\?([aimsux]+)\)/.exec(pattern)
  const flags = inline?.[1] ?? ''
  if (flags.includes('x')) throw new Fault('unsupported', 'verbose regular expressions are not supported')
  const translator = new Translator(pattern.slice(inline?.[0].length ?? 0), multiline || flags.includes('m'), flags.includes('s'))
  const source = translator.translate()
  try {
    return new RegExp(source, ignoreCase || flags.includes('i') ? 'giu' : 'gu')
  } catch (error) {
    throw new Fault('type', `regular expression ${JSON.stringify(pattern)}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

class Translator {
  private at = 0
  private readonly pattern: string
  private readonly multiline: boolean
  private readonly dotAll: boolean
  constructor(pattern: string, multiline: boolean, dotAll: boolean) {
    this.pattern = pattern
    this.multiline = multiline
    this.dotAll = dotAll
  }

  translate(): string {
    let out = ''
    while (this.at < this.pattern.length) out += this.piece()
    return out
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.pattern)
    if (found !== null) this.at = pattern.lastIndex
    return found
  }

  private piece(): string {
    const char = this.pattern[this.at]
    if (char === '\\') return this.escape(false)
    if (char === '[') return this.characterClass()
    if (char === '(') return this.group()
    if (char === '{') {
      const count = this.take(/\{(\d*)(,?)(\d*)\}/y)
      if (count !== null && (count[1] !== '' || count[3] !== '')) return `{${count[1] || '0'}${count[2]}${count[3]}}`
      if (count !== null) this.at -= count[0].length
    }
    this.at += 1
    if (char === '.') return this.dotAll ? '[^]' : '[^\\n]'
    if (char === '^') return this.multiline ? '(?<=\\n|(?<![^]))' : '(?<![^])'
    if (char === '$') return this.multiline ? '(?=\\n|(?![^]))' : '(?=\\n?(?![^]))'
    return char === '{' || char === '}' || char === ']' ? `\\${char}` : (char ?? '')
  }

  private group(): string {
    const named = this.take(/\(\?P<(\w+)>/y)
    if (named !== null) return `(?<${named[1]}>`
    const back = this.take(/\(\?P=(\w+)\)/y)
    if (back !== null) return `\\k<${back[1]}>`
    if (this.take(/\(\?#[^)]*\)/y) !== null) return ''
    if (this.take(/\(\?(?:\(|>)/y) !== null) throw new Fault('unsupported', 'conditional and atomic groups of regular expressions are not supported')
    return this.take(/\(\?(?:[:=!]|<[=!]|[ims]*(?:-[ims]+)?:)/y)?.[0] ?? this.take(/\(/y)?.[0] ?? ''
  }

  private escape(inClass: boolean): string {
    this.at += 1
    const code = this.take(/x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})/y)
    if (code !== null) return `\\u{${code[1] ?? code[2] ?? code[3]}}`
    const octal = this.take(inClass ? /[0-7]{1,3}/y : /0[0-7]{0,2}|[1-3][0-7]{2}/y)
    if (octal !== null) return `\\u{${Number.parseInt(octal[0], 8).toString(16)}}`
    const reference = inClass ? null : this.take(/[1-9]\d?/y)
    if (reference !== null) return `(?:\\${reference[0]})`
    const char = this.take(/[\s\S]/uy)?.[0]
    if (char === undefined) throw new Fault('type', 'regular expression ends with a backslash')
    return this.letter(char, inClass)
  }

  private letter(char: string, inClass: boolean): string {
    const control = controls[char]
    if (control !== undefined) return control
    const set = sets[char.toLowerCase()]
    if (set !== undefined) {
      if (char === char.toLowerCase()) return inClass ? set : `[${set}]`
      if (char === 'D') return '\\P{Nd}'
      if (char === 'S') return '\\S'
      if (!inClass) return `[^${set}]`
      throw new Fault('unsupported', '\\W inside a class of a regular expression is not supported')
    }
    if (inClass && char === 'b') return '\\x08'
    if (char === 'A') return '(?<![^])'
    if (char === 'Z') return '(?![^])'
    if (char === 'b') return boundary
    if (char === 'B') return notBoundary
    if (/[A-Za-z]/.test(char)) throw new Fault('type', `bad escape \\${char} in regular expression`)
    return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? (char === '-' && !inClass ? '-' : `\\${char}`) : char
  }

  private characterClass(): string {
    let out = this.take(/\[\^?/y)?.[0] ?? '['
    let first = true
    for (;;) {
      const char = this.pattern[this.at]
      if (char === undefined) throw new Fault('type', 'unterminated character set in regular expression')
      if (char === ']' && !first) break
      first = false
      if (char === '\\') out += this.escape(true)
      else {
        this.at += 1
        out += char === '[' || char === ']' ? `\\${char}` : char
      }
    }
    this.at += 1
    return `${out}]`
  }
}

/** The replacement text of re.sub for one match. */
export function expandReplacement(template: string, match: RegExpExecArray): string {
  if (!template.includes('\\')) return template
  return template.replace(
    /\\(?:g<([^>]*)>|([1-9]\d?)|0[0-7]{0,2}|([\s\S]))/g,
    (whole, name: string | undefined, digits: string | undefined, char: string | undefined) => {
      if (name !== undefined) return groupOf(match, name)
      if (digits !== undefined) return groupOf(match, digits)
      if (char === undefined) return String.fromCharCode(Number.parseInt(whole.slice(1), 8))
      const control: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', f: '\f', v: '\v', b: '\b', '\\': '\\' }
      const known = control[char]
      if (known === undefined && /[A-Za-z]/.test(char)) throw new Fault('type', `bad escape \\${char} in replacement`)
      return known ?? whole
    },
  )
}

/** A group by number or name; '' when it took no part in the match. */
export function groupOf(match: RegExpExecArray, name: string): string {
  if (/^\d+$/.test(name)) {
    if (Number(name) >= match.length) throw new Fault('type', `invalid group reference ${name}`)
    return match[Number(name)] ?? ''
  }
  if (match.groups === undefined || !(name in match.groups)) throw new Fault('type', `unknown group name '${name}'`)
  return match.groups[name] ?? ''
}
