/** What documents and hints tell people to type exists: commands, and in documents also the number of their arguments, and options. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { buildProgram } from '../../../cli/program.ts'

const root = new URL('../../..', import.meta.url).pathname
const documents = ['README.md', ...globSync('docs/*.md', { cwd: root })]

/** In backticks, in indented and in fenced blocks. */
function commandLines(text: string): readonly string[] {
  const inline = [...text.matchAll(/`hivecoord ([^`]*)`/g)].map(([, words]) => words ?? '')
  const blocks = [...text.matchAll(/^ {4,}(?:\$ )?(?:nice )?hivecoord (.*)$/gm)].map(([, words]) => words ?? '')
  // A line that begins with a bracket is a synopsis.
  return [...inline, ...blocks].filter((line) => !line.startsWith('[')).map((line) => line.replaceAll('\n', ' ').replace(/\s{2,}#.*| # .*/, ''))
}

/** As a shell splits them, as far as documents need it. */
const wordsOf = (line: string): readonly string[] => [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word)

interface Found {
  readonly command: Command
  readonly rest: readonly string[]
}

/** Options may stand before the command: -s STAGE deploy. */
function commandOf(program: Command, words: readonly string[]): Found | undefined {
  const rest: string[] = []
  let command = program
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    const nested = rest.some((one) => !one.startsWith('-')) ? undefined : command.commands.find((one) => one.name() === word || one.aliases().includes(word))
    if (nested !== undefined) command = nested
    else if (word.startsWith('-') && takesValue(word, program, command)) rest.push(word, ...skip(words[++index]))
    else rest.push(word)
  }
  return command === program && rest.some((word) => !word.startsWith('-')) ? undefined : { command, rest }
}

const skip = (value: string | undefined): string[] => (value === undefined ? [] : [`-=${value}`])
const optionOf = (flag: string, ...commands: readonly Command[]) =>
  commands.flatMap(({ options }) => options).find((option) => option.short === flag || option.long === flag)
const takesValue = (flag: string, ...commands: readonly Command[]): boolean => optionOf(flag, ...commands)?.required === true

/** What is wrong with a line; undefined: nothing. */
function mistake(program: Command, line: string): string | undefined {
  const words = wordsOf(line.replaceAll('…', ' ')).map((word) => word.replace(/^\[+|\]+$/g, ''))
  const found = commandOf(program, words)
  if (found === undefined) return 'no such command'
  const { command, rest } = found
  const parents = ancestors(command)
  if (['exec', 'ssh'].includes(command.name())) return undefined
  const unknown = rest.find((word) => /^--?[a-z]/i.test(word) && word !== '--help' && optionOf(word.split('=')[0] ?? '', command, ...parents) === undefined)
  if (unknown !== undefined) return `no option ${unknown}`
  const given = rest.filter((word) => !word.startsWith('-')).length
  const takes = command.registeredArguments
  if (!takes.some(({ variadic }) => variadic) && given > takes.length) return `takes ${takes.length} arguments`
  return undefined
}

/** What follows the program's name in sentences about it. */
const prose = new Set(['again', 'has', 'hivecoord', 'is'])

const ancestors = (command: Command): readonly Command[] => (command.parent === null ? [] : [command.parent, ...ancestors(command.parent)])

describe('documents', () => {
  const { program } = buildProgram()

  for (const document of documents) {
    it(`${document} has only commands that exist`, () => {
      const lines = commandLines(readFileSync(`${root}/${document}`, 'utf8'))
      assert.deepEqual(
        lines.flatMap((line) => {
          const wrong = mistake(program, line)
          return wrong === undefined ? [] : [`hivecoord ${line}: ${wrong}`]
        }),
        [],
      )
    })
  }

  it('messages and hints of the program have only commands that exist', () => {
    const sources = globSync(['agent/**/*.ts', 'cli/**/*.ts', 'coordinator/**/*.ts', 'proto/*.ts'], { cwd: root })
    const named = sources.flatMap((source) =>
      [...readFileSync(`${root}/${source}`, 'utf8').matchAll(/\bhivecoord ([a-z][a-z-]*)/g)].map(([, name = '']) => ({ source, name })),
    )
    assert.ok(named.length > 50)
    assert.deepEqual(
      named.filter(({ name }) => !prose.has(name) && !program.commands.some((command) => command.name() === name)),
      [],
    )
  })

  it('would show what does not exist', () => {
    assert.equal(mistake(program, 'drain HOST'), 'no such command')
    assert.equal(mistake(program, 'plan build-volumes'), 'takes 0 arguments')
    assert.equal(mistake(program, '-s staging plan --quick'), 'no option --quick')
    assert.equal(mistake(program, '-s staging deploy --only build-volumes -l db'), undefined)
  })
})
