import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Command } from 'commander'
import { commandRoles, refuseCommand, roleOfCommand } from '../../../cli/command-roles.ts'
import { buildProgram } from '../../../cli/program.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { HiveError } from '../../../proto/errors.ts'
import { tempFolder } from '../coordinator/support/temp.ts'

const commandsOf = (command: Command, above: readonly string[] = []): readonly (readonly string[])[] =>
  command.commands.flatMap((nested) => [[...above, nested.name()], ...commandsOf(nested, [...above, nested.name()])])
const all = commandsOf(buildProgram().program)

test('every command has a role rule, and every rule a command', () => {
  assert.deepEqual(
    all.filter((words) => roleOfCommand(words) === undefined).map((words) => words.join(' ')),
    [],
    'add them to cli/command-roles.ts',
  )
  const known = new Set(all.map((words) => words.join(' ')))
  assert.deepEqual(
    Object.keys(commandRoles).filter((words) => !known.has(words)),
    [],
  )
})

test('the rule of a command counts for those below it that have none', () => {
  assert.equal(roleOfCommand(['node', 'info']), 'hive:reader')
  assert.equal(roleOfCommand(['node', 'unit']), 'hive:operator')
  assert.equal(roleOfCommand(['cert', 'revoke']), 'hive:admin')
  assert.equal(roleOfCommand(['none']), undefined)
})

test('a command beyond the role of the own certificate ends before it begins, and says which role it takes', async (t) => {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'test', identity: 'anna@desk' })
  const may = (words: string): boolean => {
    try {
      refuseCommand(words.split(' '), contextDir, 'anna@desk')
      return true
    } catch (error) {
      assert.ok(error instanceof HiveError && error.code === 'denied', String(error))
      assert.match(error.message, /needs the role hive:\w+; your certificate \(anna@desk\) has hive:\w+/)
      return false
    }
  }
  const folder = join(contextDir, 'pki/anna@desk')
  mkdirSync(folder, { recursive: true })
  const allowed: Record<string, readonly boolean[]> = {}
  for (const role of ['hive:reader', 'hive:operator', 'hive:admin'] as const) {
    writeFileSync(join(folder, 'cert.pem'), (await pki.issueClient({ name: 'anna@desk', role })).certificatePem)
    allowed[role] = ['status', 'deploy', 'cert revoke', 'context show'].map(may)
  }
  assert.deepEqual(allowed, {
    'hive:reader': [true, false, false, true],
    'hive:operator': [true, true, false, true],
    'hive:admin': [true, true, true, true],
  })
  rmSync(folder, { recursive: true })
  assert.equal(may('cert revoke'), true)
})
