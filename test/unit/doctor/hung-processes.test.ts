import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hungProcesses, parseStat } from '../../../agent/adapters/hung-processes.ts'

const stat = (pid: number, name: string, state: string, startedTicks: number): string =>
  `${pid} (${name}) ${state} 1 ${pid} ${pid} 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 ${startedTicks} 1000 10 18446744073709551615\n`

test('a storage tool in state D for more than a minute is named; young ones, others and sleeping ones are not', async (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'hive-proc-'))
  context.after(() => rmSync(proc, { recursive: true }))
  writeFileSync(join(proc, 'uptime'), '1000.50 1900.00\n')
  const processes = [
    stat(10, 'drbdsetup', 'D', 10_000),
    stat(11, 'drbdsetup', 'D', 99_500),
    stat(12, 'postgres', 'D', 10_000),
    stat(13, 'mount', 'S', 10_000),
    stat(14, 'mkfs.ext4', 'D', 5_000),
  ]
  for (const [index, text] of processes.entries()) {
    mkdirSync(join(proc, `${10 + index}`))
    writeFileSync(join(proc, `${10 + index}`, 'stat'), text)
  }
  mkdirSync(join(proc, '99')) // ended while it was looked at
  assert.deepEqual(await hungProcesses(proc), [
    { pid: 14, command: 'mkfs.ext4', age: 951 },
    { pid: 10, command: 'drbdsetup', age: 901 },
  ])
})

test('a name with spaces and parentheses', () => {
  assert.deepEqual(parseStat(stat(7, 'a) (b', 'D', 200)), { pid: 7, command: 'a) (b', state: 'D', started: 2 })
})

test('this process is there, and not hung', async () => {
  assert.ok(!(await hungProcesses()).some(({ pid }) => pid === process.pid))
})
