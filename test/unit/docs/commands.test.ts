import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { buildProgram } from '../../../cli/program.ts'

const text = readFileSync(new URL('../../../docs/commands.md', import.meta.url), 'utf8')
const hidden = new Set(['complete', 'zabbix-port'])

function* commandsOf(command: Command, path: readonly string[] = []): Generator<{ readonly command: Command; readonly path: readonly string[] }> {
  for (const nested of command.commands) {
    if (hidden.has(nested.name())) continue
    yield { command: nested, path: [...path, nested.name()] }
    yield* commandsOf(nested, [...path, nested.name()])
  }
}

describe('docs/commands.md', () => {
  const { program } = buildProgram()

  it('names every command', () => {
    const missing = [...commandsOf(program)].map(({ path }) => path.join(' ')).filter((path) => !new RegExp(`\`${path}[\` ]`).test(text))
    assert.deepEqual(missing, [])
  })

  it('names every option, long and short', () => {
    const missing = [{ command: program, path: [] as readonly string[] }, ...commandsOf(program)].flatMap(({ command, path }) =>
      command.options
        .filter((option) => !option.hidden)
        .flatMap((option) => [option.short, option.long])
        .filter((flag) => flag !== undefined && !new RegExp(`${flag}(?![\\w-])`).test(text))
        .map((flag) => `${path.join(' ')} ${flag}`),
    )
    assert.deepEqual(missing, [])
  })
})
