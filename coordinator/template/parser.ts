/** Expressions: Jinja's grammar and precedence. */
import type { CallArguments, Expression } from './ast.ts'
import type { Token, TokenType } from './lexer.ts'
import { TemplateError } from './template.ts'
import { makeFloat } from './values.ts'

const constants: Readonly<Record<string, unknown>> = { true: true, True: true, false: false, False: false, none: null, None: null }
const comparisons = new Set(['==', '!=', '<', '<=', '>', '>='])
const noArguments: CallArguments = { positional: [], named: [], spread: undefined, spreadNamed: undefined }

export class ExpressionParser {
  private readonly tokens: readonly Token[]
  private next = 0
  constructor(tokens: readonly Token[]) {
    this.tokens = tokens
  }

  get token(): Token {
    const token = this.tokens[this.next] ?? this.tokens.at(-1)
    if (token === undefined) throw new TemplateError('syntax', 'the template is empty', 0)
    return token
  }

  advance(): Token {
    const token = this.token
    this.next += 1
    return token
  }

  is(type: TokenType, text?: string): boolean {
    return this.token.type === type && (text === undefined || this.token.text === text)
  }

  skip(type: TokenType, text?: string): boolean {
    if (!this.is(type, text)) return false
    this.next += 1
    return true
  }

  expect(type: TokenType, text?: string): Token {
    if (this.is(type, text)) return this.advance()
    const found = this.is('end') ? 'the end' : `'${this.token.text || this.token.type}'`
    throw new TemplateError('syntax', `expected ${text === undefined ? type : `'${text}'`}, found ${found}`, this.token.at)
  }

  fail(message: string, at: number): never {
    throw new TemplateError('syntax', message, at)
  }

  private operator(text: string): boolean {
    return this.skip('operator', text)
  }

  /** An expression, or several with commas between, which make a tuple. */
  tuple(): Expression {
    const at = this.token.at
    const first = this.expression()
    if (!this.is('operator', ',')) return first
    const items = [first]
    while (this.operator(',')) {
      if (['variable_end', 'block_end', 'end'].includes(this.token.type) || this.is('operator', ')')) break
      items.push(this.expression())
    }
    return { kind: 'tuple', items, at }
  }

  expression(): Expression {
    let value = this.disjunction()
    while (this.is('name', 'if')) {
      const { at } = this.advance()
      const condition = this.disjunction()
      value = { kind: 'if', condition, yes: value, otherwise: this.skip('name', 'else') ? this.expression() : undefined, at }
    }
    return value
  }

  disjunction(): Expression {
    let left = this.conjunction()
    while (this.is('name', 'or')) left = { kind: 'or', at: this.advance().at, left, right: this.conjunction() }
    return left
  }

  private conjunction(): Expression {
    let left = this.negation()
    while (this.is('name', 'and')) left = { kind: 'and', at: this.advance().at, left, right: this.negation() }
    return left
  }

  private negation(): Expression {
    if (!this.is('name', 'not')) return this.comparison()
    return { kind: 'not', at: this.advance().at, operand: this.negation() }
  }

  private comparison(): Expression {
    const { at } = this.token
    const first = this.sum()
    const rest: [string, Expression][] = []
    for (;;) {
      if (this.is('operator') && comparisons.has(this.token.text)) rest.push([this.advance().text, this.sum()])
      else if (this.skip('name', 'in')) rest.push(['in', this.sum()])
      else if (this.is('name', 'not') && this.tokens[this.next + 1]?.text === 'in') {
        this.next += 2
        rest.push(['not in', this.sum()])
      } else break
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest, at }
  }

  private sum(): Expression {
    let left = this.concatenation()
    while (this.is('operator', '+') || this.is('operator', '-')) left = this.binary(left, () => this.concatenation())
    return left
  }

  private concatenation(): Expression {
    const { at } = this.token
    const parts = [this.product()]
    while (this.operator('~')) parts.push(this.product())
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'concat', parts, at }
  }

  private product(): Expression {
    let left = this.power()
    while (this.is('operator') && ['*', '/', '//', '%'].includes(this.token.text)) left = this.binary(left, () => this.power())
    return left
  }

  private power(): Expression {
    let left = this.unary()
    while (this.is('operator', '**')) left = this.binary(left, () => this.unary())
    return left
  }

  private binary(left: Expression, right: () => Expression): Expression {
    const { text, at } = this.advance()
    return { kind: 'binary', operator: text, left, right: right(), at }
  }

  unary(filtered = true): Expression {
    const { at } = this.token
    let value: Expression
    if (this.operator('-')) value = { kind: 'minus', operand: this.unary(false), at }
    else if (this.operator('+')) value = { kind: 'plus', operand: this.unary(false), at }
    else value = this.primary()
    value = this.postfix(value)
    return filtered ? this.filters(value) : value
  }

  private primary(): Expression {
    const token = this.advance()
    const { at } = token
    switch (token.type) {
      case 'name':
        return Object.hasOwn(constants, token.text) ? { kind: 'literal', value: constants[token.text], at } : { kind: 'name', name: token.text, at }
      case 'string': {
        let value = token.text
        while (this.is('string')) value += this.advance().text
        return { kind: 'literal', value, at }
      }
      case 'integer':
        return { kind: 'literal', value: Number(token.text), at }
      case 'float':
        return { kind: 'literal', value: makeFloat(Number(token.text)), at }
      case 'operator':
        if (token.text === '(') return this.parenthesis(at)
        if (token.text === '[') return { kind: 'list', items: this.sequence(']'), at }
        if (token.text === '{') return this.dict(at)
        break
      default:
    }
    return this.fail(token.type === 'end' || token.text === '' ? 'an expression is missing' : `unexpected '${token.text}'`, at)
  }

  private parenthesis(at: number): Expression {
    if (this.operator(')')) return { kind: 'tuple', items: [], at }
    const inner = this.tuple()
    this.expect('operator', ')')
    return inner
  }

  private sequence(end: string): Expression[] {
    const items: Expression[] = []
    while (!this.operator(end)) {
      if (items.length > 0) this.expect('operator', ',')
      if (this.operator(end)) break
      items.push(this.expression())
    }
    return items
  }

  private dict(at: number): Expression {
    const entries: [Expression, Expression][] = []
    while (!this.operator('}')) {
      if (entries.length > 0) this.expect('operator', ',')
      if (this.operator('}')) break
      const key = this.expression()
      this.expect('operator', ':')
      entries.push([key, this.expression()])
    }
    return { kind: 'dict', entries, at }
  }

  private postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      const { at } = this.token
      if (this.operator('.')) value = this.attribute(value, at)
      else if (this.operator('[')) value = this.subscript(value, at)
      else if (this.is('operator', '(')) value = { kind: 'call', target: value, args: this.arguments(), at }
      else return value
    }
  }

  private attribute(target: Expression, at: number): Expression {
    if (this.is('integer')) return { kind: 'item', target, key: { kind: 'literal', value: Number(this.token.text), at: this.advance().at }, at }
    return { kind: 'attribute', target, name: this.expect('name').text, at }
  }

  private subscript(target: Expression, at: number): Expression {
    const bounds: (Expression | undefined)[] = []
    let colons = 0
    while (!this.operator(']')) {
      if (this.operator(':')) colons += 1
      else bounds[colons] = this.tuple()
      if (this.is('end')) this.expect('operator', ']')
    }
    const key = bounds[0]
    if (colons > 0) return { kind: 'slice', target, bounds: [bounds[0], bounds[1], bounds[2]], at }
    if (key === undefined) return this.fail('a subscript is missing', at)
    return { kind: 'item', target, key, at }
  }

  /** Everything written as | filter, is test or a call of their result. */
  private filters(start: Expression): Expression {
    let value = start
    for (;;) {
      const { at } = this.token
      if (this.operator('|')) {
        const { name, args } = this.filter()
        value = { kind: 'filter', target: value, name, args, at }
      } else if (this.skip('name', 'is')) value = this.test(value, at)
      else if (this.is('operator', '(')) value = { kind: 'call', target: value, args: this.arguments(), at }
      else return value
    }
  }

  filter(): { name: string; args: CallArguments } {
    const name = this.dottedName()
    return { name, args: this.is('operator', '(') ? this.arguments() : noArguments }
  }

  private dottedName(): string {
    let name = this.expect('name').text
    while (this.operator('.')) name += `.${this.expect('name').text}`
    return name
  }

  private test(target: Expression, at: number): Expression {
    const negated = this.skip('name', 'not')
    const name = this.dottedName()
    let args = noArguments
    if (this.is('operator', '(')) args = this.arguments()
    else if (this.startsTestArgument()) {
      if (this.is('name', 'is')) this.fail('tests cannot be chained with is', at)
      args = { ...noArguments, positional: [this.postfix(this.primary())] }
    }
    return { kind: 'test', target, name, args, negated, at }
  }

  private startsTestArgument(): boolean {
    if (this.is('name')) return !['else', 'or', 'and', 'if', 'in', 'not'].includes(this.token.text)
    return ['string', 'integer', 'float'].includes(this.token.type) || ['(', '[', '{'].some((open) => this.is('operator', open))
  }

  arguments(): CallArguments {
    this.expect('operator', '(')
    const positional: Expression[] = []
    const named: [string, Expression][] = []
    let spread: Expression | undefined
    let spreadNamed: Expression | undefined
    let first = true
    while (!this.operator(')')) {
      if (!first) this.expect('operator', ',')
      first = false
      if (this.operator(')')) break
      if (this.operator('*')) spread = this.expression()
      else if (this.operator('**')) spreadNamed = this.expression()
      else if (this.is('name') && this.tokens[this.next + 1]?.type === 'operator' && this.tokens[this.next + 1]?.text === '=') {
        const name = this.advance().text
        this.advance()
        named.push([name, this.expression()])
      } else {
        if (named.length > 0) this.fail('a positional argument follows a named one', this.token.at)
        positional.push(this.expression())
      }
    }
    return { positional, named, spread, spreadNamed }
  }
}
