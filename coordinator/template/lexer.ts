/**
 * Tokens of a template, with Ansible's settings: trim_blocks on, lstrip_blocks off, one trailing newline dropped (render()
 * puts it back). Ansible doubles backslashes in text literals between {{ and }}, so there a backslash is only a backslash.
 */
import { TemplateError } from './template.ts'
import { unescapeText } from './text.ts'

export type TokenType = 'data' | 'variable_begin' | 'variable_end' | 'block_begin' | 'block_end' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'end'

export interface Token {
  readonly type: TokenType
  /** Source text; for 'string' and 'data' the text itself. */
  readonly text: string
  readonly at: number
}

const opening = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})|\{\{[-+]?|\{%[-+]?|\{#[-+]?/g
const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g
const commentEnd = /\+#\}|-#\}\s*|#\}\n?/g
const blockEnd = /\+%\}|-%\}\s*|%\}\n?/y
const variableEnd = /-\}\}\s*|\}\}/y
const space = /\s+/y
const float = /\d+(?:_\d+)*(?:(?:\.\d+(?:_\d+)*)?[eE][+-]?\d+(?:_\d+)*|\.\d+(?:_\d+)*)/y
const integer = /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y
const name = /[\p{L}_][\p{L}\p{N}\p{M}_]*/uy
const string = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~()[\]{}><=.:|,;]/y
const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n|\r/g, '\n').replace(/\n$/, '')
  return new Lexer(source).template()
}

/** Tokens of a bare expression, whose text literals know all escapes. */
export function tokenizeExpression(source: string): Token[] {
  return new Lexer(source).bare()
}

class Lexer {
  private readonly source: string
  private readonly tokens: Token[] = []
  private at = 0
  constructor(source: string) {
    this.source = source
  }

  bare(): Token[] {
    while (this.at < this.source.length) this.token('block', [])
    return this.end()
  }

  template(): Token[] {
    while (this.at < this.source.length) {
      opening.lastIndex = this.at
      const found = opening.exec(this.source)
      if (found === null) {
        this.data(this.at, this.source.length, false)
        break
      }
      const mark = found[0]
      this.data(this.at, found.index, mark[2] === '-')
      this.at = opening.lastIndex
      if (mark.endsWith('}') || /\}\s+$/.test(mark)) this.raw(found.index)
      else if (mark.startsWith('{#')) this.comment(found.index)
      else this.tag(mark.startsWith('{{') ? 'variable' : 'block', found.index, mark)
    }
    return this.end()
  }

  private end(): Token[] {
    this.push('end', '', this.source.length)
    return this.tokens
  }

  private push(type: TokenType, text: string, at: number): undefined {
    this.tokens.push({ type, text, at })
  }

  private fail(message: string, at: number): never {
    throw new TemplateError('syntax', message, at)
  }

  private data(from: number, to: number, strip: boolean): undefined {
    const text = strip ? this.source.slice(from, to).trimEnd() : this.source.slice(from, to)
    if (text !== '') this.push('data', text, from)
  }

  private raw(start: number): undefined {
    rawEnd.lastIndex = this.at
    const found = rawEnd.exec(this.source) ?? this.fail('{% raw %} has no end', start)
    this.data(this.at, found.index, found[1] === '-')
    this.at = rawEnd.lastIndex
  }

  private comment(start: number): undefined {
    commentEnd.lastIndex = this.at
    if (commentEnd.exec(this.source) === null) this.fail('the comment has no end', start)
    this.at = commentEnd.lastIndex
  }

  private tag(kind: 'variable' | 'block', start: number, mark: string): undefined {
    const finish = kind === 'variable' ? variableEnd : blockEnd
    const open: string[] = []
    this.push(`${kind}_begin`, mark, start)
    for (;;) {
      if (open.length === 0 && this.match(finish) !== undefined) break
      if (this.at >= this.source.length) this.fail(`${mark} has no end`, start)
      this.token(kind, open)
    }
    this.push(`${kind}_end`, '', this.at)
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const text = pattern.exec(this.source)?.[0]
    if (text !== undefined) this.at = pattern.lastIndex
    return text
  }

  private token(kind: 'variable' | 'block', open: string[]): undefined {
    if (this.match(space) !== undefined) return
    const at = this.at
    const afterDot = this.source[at - 1] === '.'
    const number = afterDot ? undefined : this.match(float)
    if (number !== undefined) return this.push('float', number.replaceAll('_', ''), at)
    const whole = this.match(integer)
    if (whole !== undefined) return this.push('integer', whole.replaceAll('_', ''), at)
    const word = this.match(name)
    if (word !== undefined) return this.push('name', word, at)
    const quoted = this.match(string)
    if (quoted !== undefined) return this.push('string', this.literal(kind, quoted, at), at)
    const sign = this.match(operator) ?? this.fail(`unexpected character '${this.source[at]}'`, at)
    const closer = closers[sign]
    if (closer !== undefined) open.push(closer)
    else if (sign === ')' || sign === ']' || sign === '}') {
      const expected = open.pop()
      if (expected !== sign && kind === 'variable') this.fail(`unexpected '${sign}'`, at)
    }
    this.push('operator', sign, at)
  }

  private literal(kind: 'variable' | 'block', quoted: string, at: number): string {
    const body = quoted.slice(1, -1)
    if (kind === 'block') return unescapeText(body)
    if (new RegExp(`\\\\${quoted[0]}`).test(body)) this.fail('inside {{ }} a backslash does not hide a quote', at)
    return body
  }
}
