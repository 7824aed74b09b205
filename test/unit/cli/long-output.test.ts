import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const launcher = new URL('../../../packaging/hivecoord.mjs', import.meta.url).pathname

test('output that is larger than a pipe arrives whole', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hive-long-output-'))
  try {
    mkdirSync(join(root, 'inventory'))
    writeFileSync(join(root, 'inventory/hive.yml'), 'plugin: hive_inventory\nname: long\nstages:\n  private: {provider: prepared, cidr: 192.0.2.0/24}\n')
    const runs = join(root, '.hive/private/runs')
    mkdirSync(runs, { recursive: true })
    const entry = JSON.stringify({ at: '2026-01-01T00:00:00.000Z', event: { code: 'notice', message: 'x'.repeat(1000) } })
    writeFileSync(join(runs, 'a.jsonl'), `${entry}\n`.repeat(3000))
    const { stdout } = await promisify(execFile)(process.execPath, [launcher, '--root', root, '--output', 'json', 'runs', 'show', 'a'], {
      maxBuffer: 64 * 1024 * 1024,
    })
    assert.equal((JSON.parse(stdout) as unknown[]).length, 3000)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})
