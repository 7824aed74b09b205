import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { raiseKernelLimits } from '../../../coordinator/providers/nspawn/kernel-limits.ts'

suite("the kernel's limit of inotify instances", () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hive-limits-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const raised = (path: string): readonly string[] => {
    const codes: string[] = []
    raiseKernelLimits((event: HiveEvent) => codes.push(event.code), path)
    return codes
  }

  test('is raised where hosts would not boot, and that is told once', () => {
    const path = join(folder, 'small')
    writeFileSync(path, '128\n')
    assert.deepEqual(raised(path), ['notice'])
    assert.equal(readFileSync(path, 'utf8'), '1024\n')
    assert.deepEqual(raised(path), [])
  })

  test('stays where it is higher', () => {
    const path = join(folder, 'large')
    writeFileSync(path, '8192\n')
    assert.deepEqual(raised(path), [])
    assert.equal(readFileSync(path, 'utf8'), '8192\n')
  })

  test('that cannot be raised is a warning', () => {
    assert.deepEqual(raised(join(folder, 'nowhere/limit')), ['warning'])
  })
})
