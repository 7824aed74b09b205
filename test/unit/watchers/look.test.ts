import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { readOnly } from '../../../agent/adapters/gate.ts'
import { look } from '../../../agent/watchers/failover/look.ts'
import { findings } from '../../../agent/watchers/failover/signatures.ts'

const recorded = new URL('../../fixtures/drbd9/14x-standalone-without-split-brain/s-hive2/', import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'look-'))
const path = process.env['PATH']
const asked = (): number => (existsSync(join(folder, 'asked')) ? readFileSync(join(folder, 'asked'), 'utf8').split('\n').length - 1 : 0)

/** A program in front of the machine's own that prints a recording. */
function program(name: string, output: string, before = ''): void {
  writeFileSync(join(folder, `${name}.txt`), output)
  writeFileSync(join(folder, name), `#!/bin/sh\n${before}\nexec cat ${join(folder, `${name}.txt`)}\n`)
  chmodSync(join(folder, name), 0o755)
}

suite('a look', () => {
  before(() => {
    const log = readFileSync(new URL('dmesg-drbd-tail.txt', recorded), 'utf8')
    const at = Math.floor(Date.now() / 1000) - 60
    program('drbdsetup', readFileSync(new URL('drbdsetup-status-verbose-statistics.json', recorded), 'utf8'))
    program(
      'journalctl',
      log.replaceAll(/^\[ *(\d+\.\d+)\] /gm, () => `${at}.000001 s-hive2 kernel: `),
      `echo asked >> ${join(folder, 'asked')}`,
    )
    process.env['PATH'] = `${folder}:${path}`
  })
  after(() => {
    process.env['PATH'] = path
    rmSync(folder, { recursive: true })
  })

  const once = (fresh = false) => readOnly(() => look({ signal: AbortSignal.timeout(30_000), now: Date.now(), busy: () => false, fresh }))

  test("joins DRBD's states with the kernel's log", async () => {
    const picture = await once()
    assert.deepEqual(
      findings(picture, Date.now()).map(({ signature, volume, peer }) => [signature, volume, peer]),
      [['resync-race', 'hive', 's-hive0.pdns']],
    )
    assert.equal(picture.docker, undefined, 'nothing is mounted: docker is not asked')
  })

  test('reads the log once while the connections stay as they are, and anew before acting', async () => {
    const before = asked()
    await once()
    assert.equal(asked(), before)
    await once(true)
    assert.equal(asked(), before + 1)
  })
})
