/** Certificates that are given, taken and exchanged on a site that runs. The tests build on each other. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { CertificateList } from '../../coordinator/index.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { nothingLeft, openIn, plan, told } from './harness/plans.ts'
import type { Answer, Probe } from './harness/probe.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const probeProgram = new URL('harness/probe.ts', import.meta.url).pathname
const hosts = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small', 'p-hive3.small']
/** Asks ADDRESSES in turn until the file is gone; prints what was not answered. */
const asking = `
const fs = require('fs'), [file, ...addresses] = process.argv.slice(1), bad = []
let asked = 0
const ask = async () => {
  while (fs.existsSync(file)) for (const address of addresses) {
    asked += 1
    await fetch('http://' + address + ':8080/', { signal: AbortSignal.timeout(20000) }).then((answer) => answer.text()).catch((error) => bad.push(address + ' ' + error.message))
    await new Promise((done) => setTimeout(done, 50))
  }
}
ask().then(() => console.log(JSON.stringify({ asked, bad })))
`

suite('certificates of a site that runs', { skip: labObstacle() ?? false }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'hive-lab-certs-'))
  const handed = join(scratch, 'anna')
  let site: LabSite
  let addresses: ReadonlyMap<string, string>

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    await site.succeed(['deploy'])
    const { hosts: known } = (await site.succeed(['inventory'])).result as { hosts: readonly { name: string; address: string }[] }
    addresses = new Map(known.map(({ name, address }) => [name, address]))
    await nothingLeft(site)
  })

  after(async () => {
    await site.destroy()
    rmSync(scratch, { recursive: true, force: true })
  })

  const list = async (): Promise<CertificateList> => (await site.succeed(['cert', 'list'])).result as CertificateList
  const pem = (...path: readonly string[]): string => readFileSync(join(handed, ...path), 'utf8')

  /** How each host answers anna's certificate. */
  async function anna(): Promise<ReadonlyMap<string, string>> {
    const tls = { ca: readFileSync(join(site.contextDir, 'ca/cacert.pem'), 'utf8'), cert: pem('pki/anna@desk/cert.pem'), key: pem('pki/anna@desk/key.pem') }
    const probes = hosts.map((name): Probe => ({ name, target: `${addresses.get(name)}:17443`, serverName: name, tls, rpc: '/hive.v1.HostService/Info' }))
    const file = join(scratch, 'probes.json')
    writeFileSync(file, JSON.stringify(probes), { mode: 0o600 })
    const { out } = await site.inNetwork([process.execPath, probeProgram, file], 60_000)
    return new Map((JSON.parse(out.slice(out.indexOf('[{'))) as Answer[]).map(({ name, code }) => [name, code]))
  }

  test('the CA is exchanged by coordinators that are killed, and a service on all hosts is answered all the time', async () => {
    const before = await list()
    const flag = join(scratch, 'asking')
    writeFileSync(flag, '')
    const serving = hosts.slice(0, 3).map((name) => addresses.get(name) ?? '')
    const load = site.inNetwork([process.execPath, '-e', asking, flag, ...serving], 500_000)
    const kills: string[] = []
    for (const when of ['all hosts accept both', 'the new CA signs', 'certificate of the new CA', 'accept the new CA alone']) {
      const running = site.start(['cert', 'rotate', '--ca'], {
        onEvent: (event) => {
          if (event.code !== 'notice' || !event.message.includes(when)) return
          kills.push(when)
          running.kill('SIGKILL')
        },
      })
      const { signal } = await running.done
      if (signal === 'SIGKILL') assert.equal((await site.run(['status'])).code, 0, when)
    }
    assert.ok(kills.length >= 3, kills.join('; '))
    const end = await site.succeed(['cert', 'rotate', '--ca'])
    rmSync(flag)
    const { asked, bad } = JSON.parse((await load).out) as { readonly asked: number; readonly bad: readonly string[] }
    assert.deepEqual(bad, [])
    assert.ok(asked > 10, `${asked}`)
    const now = await list()
    assert.notEqual(now.ca.fingerprint, before.ca.fingerprint)
    assert.equal(now.ca.exchange, 'done')
    assert.deepEqual(
      now.hosts.flatMap(({ missing, error }) => [...missing, ...(error === undefined ? [] : [error.message])]),
      [],
    )
    assert.deepEqual(
      now.hosts.filter(({ serial }) => before.hosts.some((one) => one.serial === serial)),
      [],
    )
    assert.deepEqual((await site.succeed(['cert', 'rotate', '--ca'])).result, { ...(end.result as object), steps: [] })
    assert.deepEqual(readdirSync(join(site.contextDir, 'ca')).sort(), ['cacert.pem', 'cakey.pem', 'index.jsonl', 'rotation.json', 'serial'])
    for (const host of hosts) {
      const trusted = await site.onHost(host, 'grep -c BEGIN /etc/hive-agent/pki/ca.pem; ls /usr/local/share/ca-certificates')
      assert.deepEqual(trusted.trim().split('\n'), ['1', 'hive-small.crt'], host)
    }
    assert.deepEqual(openIn(await plan(site)), [])
    // The registry serves with a certificate of the new CA, which dockers trust.
    const registry = (await site.succeed(['images', 'list'])).result
    assert.ok(registry !== undefined)
  })

  test('an operator is let in, and after a revocation nowhere any more: a host that was off learns of it with the next deploy', async () => {
    await site.succeed(['cert', 'issue', 'anna@desk', '--role', 'operator', '--days', '30', '--to', handed])
    assert.deepEqual(new Set((await anna()).values()), new Set(['OK']))
    await site.succeed(['lab', 'power', 'off', 'p-hive2'])
    const revoked = await site.run(['cert', 'revoke', 'anna@desk', '--reason', 'left'])
    assert.equal(revoked.code, 5, JSON.stringify(revoked.errors))
    const { missing } = revoked.result as { readonly missing: readonly { readonly host: string }[] }
    assert.deepEqual(
      missing.map(({ host }) => host),
      ['p-hive2.small'],
    )
    const now = await anna()
    for (const host of hosts.filter((name) => name !== 'p-hive2.small')) assert.equal(now.get(host), 'PERMISSION_DENIED', host)
    await site.succeed(['lab', 'power', 'on', 'p-hive2'])
    await eventually('p-hive2 answers again', patience, async () => (await anna()).get('p-hive2.small') === 'OK')
    assert.deepEqual(
      (await list()).hosts.flatMap(({ missing: what }) => what),
      ['does not refuse anna@desk (hive:operator) yet'],
    )
    await site.succeed(['deploy', '--only', 'setup-hosts'])
    assert.deepEqual(
      (await list()).hosts.flatMap(({ missing: what }) => what),
      [],
    )
    await eventually('p-hive2 refuses her', patience, async () => (await anna()).get('p-hive2.small') === 'PERMISSION_DENIED')
    await nothingLeft(site)
  })

  test('who did what is readable: the refusals, and the revocation itself', async () => {
    const { result } = await site.succeed(['audit', 'p-hive0', '--by', 'anna'])
    const refused = result as readonly { readonly ok: boolean; readonly message: string }[]
    assert.ok(refused.length > 0)
    assert.ok(refused.every(({ ok, message }) => !ok && /was revoked \(left\)/.test(message)))
    const all = (await site.succeed(['audit', '--since', '1h'])).result as readonly { readonly rpc: string; readonly ok: boolean }[]
    assert.ok(all.some(({ rpc, ok }) => ok && rpc === 'hive.v1.TrustService/Refuse'))
  })

  test('a context goes from one admin box to another, and whoever has it deploys', async () => {
    const file = join(scratch, 'context.hive')
    const env = { HIVE_CONTEXT_PASSPHRASE: 'correct horse battery' }
    await site.succeed(['context', 'export', file], { env })
    assert.equal(readFileSync(file).includes('PRIVATE KEY'), false)
    assert.equal((await site.run(['context', 'import', file], { env })).code, 1)
    const imported = await site.succeed(['context', 'import', file, '--overwrite', 'private'], { env })
    assert.match((imported.result as { before: string }).before, /private\.before-/)
    rmSync(join(site.contextDir, 'pki'), { recursive: true })
    rmSync((imported.result as { before: string }).before, { recursive: true })
    // The namespace's name belongs to this machine, and stayed.
    await nothingLeft(site)
    await site.succeed(['context', 'lock', '--reason', 'disks'])
    const deployed = await site.succeed(['deploy', '--only', 'build-networks'])
    assert.equal(told(deployed, 'run.finished')[0]?.ok, true)
    const lock = join(site.contextDir, 'team.lock')
    writeFileSync(lock, readFileSync(lock, 'utf8').replace(/"by":"[^"]*"/, '"by":"ben@far"'))
    const refused = await site.run(['deploy', '--only', 'build-networks'])
    assert.equal(refused.code, 3)
    assert.match(refused.errors[0]?.message ?? '', /ben@far keeps the stage since .*: disks/)
    await site.succeed(['context', 'unlock', '--force', 'ben@far'])
  })
})
