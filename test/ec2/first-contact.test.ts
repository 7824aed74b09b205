/** An instance that runs and lets nobody in is named, with what its console said last. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { forgetHostKeys } from '../../coordinator/bootstrap/known-hosts.ts'
import { AwsApi } from '../../coordinator/providers/aws/api.ts'
import { awaitHost } from '../../coordinator/providers/aws/first-contact.ts'
import * as sdk from '../../coordinator/providers/aws/sdk.ts'
import { HiveError } from '../../proto/errors.ts'
import { type Ec2, startEc2 } from './ec2.ts'

let ec2: Ec2
let api: AwsApi
const contextDir = mkdtempSync(join(tmpdir(), 'hive-contact-'))

before(async () => {
  ec2 = await startEc2()
  api = new AwsApi(sdk, { region: 'ap-northeast-1', endpoint: ec2.endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
})
after(async () => {
  api.close()
  await ec2.stop()
  rmSync(contextDir, { recursive: true, force: true })
})

/** An address of loopback where nobody listens. */
const nobody = { host: 's-hive0.pdns', address: '127.99.98.97', port: 22, user: 'ec2-user', identityFile: join(contextDir, 'id_rsa'), password: undefined }
const made = { name: 's-hive0.pdns', instanceId: 'i-0123', publicIp: nobody.address, boots: true, isNew: true }

test('the last lines of the console come with the error', async () => {
  ec2.front.console = () =>
    ['boot', ...Array.from({ length: 30 }, (_, index) => `line ${index}`), 'Kernel panic - not syncing: VFS: Unable to mount root fs'].join('\n')
  const signal = new AbortController().signal
  await assert.rejects(awaitHost(made, nobody, { api, contextDir, signal, patience: 1_500 }), (error) => {
    assert.ok(error instanceof HiveError)
    assert.equal(error.code, 'unreachable')
    assert.match(error.message, /^s-hive0\.pdns \(i-0123\) runs and lets nobody in after 2 s: /)
    assert.equal(error.log.length, 20)
    assert.match(error.log.at(-1) ?? '', /Kernel panic/)
    return true
  })
})

test('where nobody may read the console, the error says that instead', async () => {
  ec2.front.fail('GetConsoleOutput', 'UnauthorizedOperation', 'You are not authorized to perform this operation.', 403)
  await assert.rejects(
    awaitHost(made, nobody, { api, contextDir, signal: new AbortController().signal, patience: 500 }),
    (error) => error instanceof HiveError && error.log.some((line) => line.includes('ec2:GetConsoleOutput')),
  )
})

test('the keys of the last host at an address are forgotten, those of others stay', async () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Fq3n9tq1yq2d0r3Ck5F5b0cWm6Ww2b6X0o1m9S1aQ'
  const file = join(contextDir, 'known_hosts')
  writeFileSync(file, `127.99.98.97 ${key}\n127.99.98.96 ${key}\n`)
  await forgetHostKeys(contextDir, ['127.99.98.97'])
  assert.equal(readFileSync(file, 'utf8'), `127.99.98.96 ${key}\n`)
})
