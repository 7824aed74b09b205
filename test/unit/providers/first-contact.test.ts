/** With an ssh of the test's own in front of the real one: what it does at each log-in is written beside it. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { AwsApi } from '../../../coordinator/providers/aws/api.ts'
import { awaitHost } from '../../../coordinator/providers/aws/first-contact.ts'
import { realClock } from '../../../coordinator/providers/aws/wait.ts'
import { HiveError } from '../../../proto/errors.ts'

const address = '127.99.98.95'
const folder = mkdtempSync(join(tmpdir(), 'hive-first-contact-'))
const path = process.env['PATH'] ?? ''
const target = { host: 's-hive0.pdns', address, port: 22, user: 'ec2-user', identityFile: join(folder, 'id_rsa'), password: undefined }
const made = { name: 's-hive0.pdns', instanceId: 'i-0123', publicIp: address, boots: true, isNew: true }
// The success path asks AWS nothing.
const api = { clock: realClock } as unknown as AwsApi

const ssh = `#!/bin/sh
case "$*" in *@${address}*) ;; *) PATH=$HIVE_TEST_PATH exec ssh "$@" ;; esac
echo login >>'${folder}/logins'
sh "${folder}/$(grep -c . '${folder}/logins')"
`
const closed = "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255"

/** The n-th log-in does the n-th of these. */
function logins(...scripts: readonly string[]): void {
  scripts.forEach((script, index) => {
    writeFileSync(join(folder, String(index + 1)), script)
  })
}
const count = (): number => readFileSync(join(folder, 'logins'), 'utf8').trim().split('\n').length
const wait = (patience: number): Promise<void> => awaitHost(made, target, { api, contextDir: folder, signal: new AbortController().signal, patience })

describe('a new host', () => {
  before(() => {
    writeFileSync(join(folder, 'ssh'), ssh)
    chmodSync(join(folder, 'ssh'), 0o755)
    process.env['HIVE_TEST_PATH'] = path
    process.env['PATH'] = `${folder}${delimiter}${path}`
  })
  beforeEach(() => {
    rmSync(join(folder, 'logins'), { force: true })
  })
  after(() => {
    process.env['PATH'] = path
    delete process.env['HIVE_TEST_PATH']
    rmSync(folder, { recursive: true, force: true })
  })

  it('is waited for through a log-in that its new host keys close, before the first one and after it', async () => {
    logins(closed, 'exit 0', closed, closed, 'exit 0')
    await wait(60_000)
    assert.equal(count(), 5)
  })

  it('whose cloud-init failed is an error at once', async () => {
    logins('exit 0', "echo 'status: error' >&2; exit 1", 'exit 0')
    await assert.rejects(wait(60_000), (error) => error instanceof HiveError && error.code === 'command-failed' && error.log.join().includes('status: error'))
    assert.equal(count(), 2)
  })

  it('that closes every log-in is given up when its patience is over', async () => {
    logins('exit 0', ...Array.from({ length: 60 }, () => closed))
    await assert.rejects(wait(3000), { code: 'unreachable' })
    assert.ok(count() > 2)
  })
})
