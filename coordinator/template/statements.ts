/** Statements: text, output and the blocks between {% and %}. */
import type { CallArguments, Parameter, Statement, Target } from './ast.ts'
import { type Token, tokenize, tokenizeExpression } from './lexer.ts'
import { ExpressionParser } from './parser.ts'
import { TemplateError } from './template.ts'

/** Throws TemplateError 'syntax', or 'unsupported' for statements that need other template files. */
export function parseTemplate(source: string): Statement[] {
  const parser = new StatementParser(tokenize(source))
  const body = parser.body([])
  parser.expect('end')
  return body
}

export function parseExpression(source: string) {
  const parser = new ExpressionParser(tokenizeExpression(source))
  const expression = parser.tuple()
  parser.expect('end')
  return expression
}

const elsewhere = new Set(['include', 'import', 'from', 'extends', 'block', 'call', 'autoescape', 'trans', 'break', 'continue'])

class StatementParser extends ExpressionParser {
  /** Statements up to a block whose word is one of `ends`; that word is left to be read. */
  body(ends: readonly string[]): Statement[] {
    const statements: Statement[] = []
    for (;;) {
      const token = this.token
      if (token.type === 'end') {
        if (ends.length > 0) this.fail(`expected {% ${ends.at(-1)} %}, found the end`, token.at)
        return statements
      }
      this.advance()
      if (token.type === 'data') statements.push({ kind: 'text', text: token.text, at: token.at })
      else if (token.type === 'variable_begin') {
        statements.push({ kind: 'output', expression: this.tuple(), at: token.at })
        this.expect('variable_end')
      } else {
        if (this.is('name') && ends.includes(this.token.text)) return statements
        statements.push(this.statement(this.expect('name')))
      }
    }
  }

  private inner(...ends: string[]): Statement[] {
    this.expect('block_end')
    return this.body(ends)
  }

  private close(): void {
    this.advance()
    this.expect('block_end')
  }

  private statement(word: Token): Statement {
    const { at } = word
    switch (word.text) {
      case 'if':
        return this.conditional(at)
      case 'for':
        return this.loop(at)
      case 'set':
        return this.assignment(at)
      case 'do': {
        const expression = this.tuple()
        this.expect('block_end')
        return { kind: 'do', expression, at }
      }
      case 'with':
        return this.scope(at)
      case 'macro':
        return this.macro(at)
      case 'filter': {
        const filters = this.filterChain(this.filter())
        const body = this.inner('endfilter')
        this.close()
        return { kind: 'filter', filters, body, at }
      }
      default:
        if (elsewhere.has(word.text)) throw new TemplateError('unsupported', `{% ${word.text} %} is not supported`, at)
        return this.fail(`unknown statement '${word.text}'`, at)
    }
  }

  private conditional(at: number): Statement {
    const branches: [ReturnType<ExpressionParser['tuple']>, Statement[]][] = []
    let otherwise: Statement[] = []
    do {
      const condition = this.tuple()
      branches.push([condition, this.inner('elif', 'else', 'endif')])
    } while (this.skip('name', 'elif'))
    if (this.skip('name', 'else')) otherwise = this.inner('endif')
    this.close()
    return { kind: 'if', branches, otherwise, at }
  }

  private loop(at: number): Statement {
    const target = this.target()
    this.expect('name', 'in')
    const first = this.disjunction()
    const items = [first]
    while (this.skip('operator', ',')) items.push(this.disjunction())
    const source = items.length === 1 ? first : ({ kind: 'tuple', items, at: first.at } as const)
    const condition = this.skip('name', 'if') ? this.expression() : undefined
    if (this.is('name', 'recursive')) throw new TemplateError('unsupported', 'recursive loops are not supported', this.token.at)
    const body = this.inner('else', 'endfor')
    const otherwise = this.skip('name', 'else') ? this.inner('endfor') : []
    this.close()
    return { kind: 'for', target, source, condition, body, otherwise, at }
  }

  private assignment(at: number): Statement {
    const target = this.target()
    if (this.skip('operator', '=')) {
      const value = this.tuple()
      this.expect('block_end')
      return { kind: 'set', target, value, at }
    }
    const filters = this.skip('operator', '|') ? this.filterChain(this.filter()) : []
    const body = this.inner('endset')
    this.close()
    return { kind: 'block-set', target, filters, body, at }
  }

  private filterChain(first: { name: string; args: CallArguments }): { name: string; args: CallArguments }[] {
    const filters = [first]
    while (this.skip('operator', '|')) filters.push(this.filter())
    return filters
  }

  private scope(at: number): Statement {
    const bindings: [Target, ReturnType<ExpressionParser['expression']>][] = []
    while (!this.is('block_end')) {
      if (bindings.length > 0) this.expect('operator', ',')
      const target = this.oneTarget()
      this.expect('operator', '=')
      bindings.push([target, this.expression()])
    }
    const body = this.inner('endwith')
    this.close()
    return { kind: 'with', bindings, body, at }
  }

  private macro(at: number): Statement {
    const name = this.expect('name').text
    const parameters: Parameter[] = []
    this.expect('operator', '(')
    while (!this.skip('operator', ')')) {
      if (parameters.length > 0) this.expect('operator', ',')
      const parameter = this.expect('name').text
      parameters.push({ name: parameter, otherwise: this.skip('operator', '=') ? this.expression() : undefined })
    }
    const body = this.inner('endmacro')
    this.close()
    return { kind: 'macro', name, parameters, body, at }
  }

  private target(): Target {
    const items = [this.oneTarget()]
    while (this.skip('operator', ',')) {
      if (this.is('name', 'in') || this.is('operator', '=')) return { kind: 'tuple', items }
      items.push(this.oneTarget())
    }
    return items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'tuple', items }
  }

  private oneTarget(): Target {
    if (this.skip('operator', '(')) {
      const inner = this.target()
      this.expect('operator', ')')
      return inner
    }
    const { text: name, at } = this.expect('name')
    if (['true', 'false', 'none', 'True', 'False', 'None'].includes(name)) this.fail(`cannot assign to '${name}'`, at)
    return this.skip('operator', '.') ? { kind: 'namespace', name, attribute: this.expect('name').text } : { kind: 'name', name }
  }
}
