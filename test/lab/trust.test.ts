/** Who may talk to an agent, what of it is kept secret, and whom the bootstrap trusts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { StagePki } from '../../coordinator/pki/stage-pki.ts'
import type { DeployResult } from '../../coordinator/run/deploy.ts'
import { SiteCa } from '../unit/agent-core/site-ca.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { openIn, plan } from './harness/plans.ts'
import type { Answer, Probe } from './harness/probe.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hosts = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small', 'p-hive3.small']
const host = 'p-hive1.small'
const probeProgram = new URL('harness/probe.ts', import.meta.url).pathname
const buf = new URL('../../node_modules/@bufbuild/buf-linux-x64/bin/buf', import.meta.url).pathname
const day = 24 * 3600 * 1000

type Tls = Probe['tls']

suite('trust on real hosts', { skip: labObstacle() ?? false }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'hive-lab-trust-'))
  let site: LabSite
  let target: string
  const bearer: Record<string, Tls> = {}

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    await site.succeed(['deploy'])
    const { hosts: known } = (await site.succeed(['inventory'])).result as { hosts: readonly { name: string; address: string }[] }
    target = `${known.find(({ name }) => name === host)?.address}:17443`

    const pki = new StagePki({ contextDir: site.contextDir, siteName: 'small' })
    const past = new StagePki({ contextDir: site.contextDir, siteName: 'small', now: () => new Date(Date.now() - 900 * day) })
    const foreign = await SiteCa.make('small')
    const { cert, key } = await foreign.issue('hive:admin', 'mallory')
    const ca = pki.caPem
    const issue = async (from: StagePki, role: 'hive:admin' | 'hive:operator' | 'hive:reader', name: string): Promise<Tls> => {
      const { certificatePem, keyPem } = await from.issueClient({ name, role })
      return { ca, cert: certificatePem, key: keyPem }
    }
    bearer['nobody'] = { ca }
    bearer['foreign'] = { ca, cert, key }
    bearer['expired'] = await issue(past, 'hive:admin', 'late')
    bearer['reader'] = await issue(pki, 'hive:reader', 'ro')
    bearer['operator'] = await issue(pki, 'hive:operator', 'ops')
    bearer['admin'] = await issue(pki, 'hive:admin', 'root')
    const own = '/etc/hive-agent/pki'
    bearer['host'] = { ca, cert: await site.onHost('p-hive0.small', `cat ${own}/cert.pem`), key: await site.onHost('p-hive0.small', `cat ${own}/key.pem`) }
  })

  after(async () => {
    await site.destroy()
    rmSync(scratch, { recursive: true, force: true })
  })

  async function answers(probes: readonly (Partial<Probe> & { readonly name: string; readonly as: string })[]): Promise<ReadonlyMap<string, Answer>> {
    const list = probes.map(({ as, ...probe }): Probe => ({ target, serverName: host, tls: bearer[as] ?? {}, rpc: '/hive.v1.HostService/Info', ...probe }))
    const file = join(scratch, 'probes.json')
    writeFileSync(file, JSON.stringify(list), { mode: 0o600 })
    const { code, out } = await site.inNetwork([process.execPath, probeProgram, file], 60_000)
    assert.equal(code, 0, out)
    return new Map((JSON.parse(out.slice(out.indexOf('[{'))) as Answer[]).map((answer) => [answer.name, answer]))
  }

  test('an agent talks to certificates of its own stage alone, by TLS 1.3, and only under its own name', async () => {
    const got = await answers([
      { name: 'no certificate', as: 'nobody' },
      { name: 'a certificate of another CA of the same name', as: 'foreign' },
      { name: 'an expired certificate', as: 'expired' },
      { name: 'TLS 1.2', as: 'admin', tls: { ...bearer['admin'], maxVersion: 'TLSv1.2' } },
      { name: 'the name of another host', as: 'admin', serverName: 'p-hive0.small' },
      { name: 'all as it should be', as: 'admin' },
    ])
    for (const [name, { code, answered }] of got) assert.deepEqual([name, answered], [name, name === 'all as it should be'], code)
  })

  test('a role too low is refused, and the refusal says which one it takes', async () => {
    const got = await answers([
      { name: 'a reader reads', as: 'reader' },
      { name: 'a reader starts a run', as: 'reader', rpc: '/hive.v1.StepService/StartRun' },
      { name: 'a reader plans', as: 'reader', rpc: '/hive.v1.StepService/Plan' },
      { name: 'an operator plans', as: 'operator', rpc: '/hive.v1.StepService/Plan' },
      { name: 'an operator installs a certificate', as: 'operator', rpc: '/hive.v1.HostService/InstallCertificate' },
      { name: 'another host greets', as: 'host' },
      { name: 'another host takes the lock', as: 'host', rpc: '/hive.v1.LockService/Acquire' },
    ])
    assert.deepEqual(
      [...got.values()].map(({ name, code }) => [name, code]),
      [
        ['a reader reads', 'OK'],
        ['a reader starts a run', 'PERMISSION_DENIED'],
        ['a reader plans', 'PERMISSION_DENIED'],
        ['an operator plans', 'OK'],
        ['an operator installs a certificate', 'PERMISSION_DENIED'],
        ['another host greets', 'OK'],
        ['another host takes the lock', 'PERMISSION_DENIED'],
      ],
    )
    assert.match(got.get('a reader starts a run')?.message ?? '', /needs the role hive:operator.*ro has hive:reader/)
    await eventually('the refusal is in the log', patience, async () =>
      /"rpc":"hive.v1.HostService\/InstallCertificate","caller":"ops"/.test(await site.onHost(host, 'journalctl -u hive-agent --output cat --no-pager')),
    )
  })

  test('any gRPC client finds health and services by reflection, with the certificate of a reader', async () => {
    const { ca, cert, key } = bearer['reader'] as { ca: string; cert: string; key: string }
    for (const [name, pem] of Object.entries({ ca, cert, key })) writeFileSync(join(scratch, name), pem, { mode: 0o600 })
    const curl = async (path: string, ...options: readonly string[]): Promise<string> => {
      const trust = ['--cacert', join(scratch, 'ca'), '--cert', join(scratch, 'cert'), '--key', join(scratch, 'key'), '--servername', host]
      const { code, out } = await site.inNetwork([buf, 'curl', '--protocol', 'grpc', ...trust, ...options, `https://${target}${path}`], 30_000)
      assert.equal(code, 0, out)
      return out
    }
    assert.match(await curl('/grpc.health.v1.Health/Check', '-d', '{}'), /"status":\s*"SERVING"/)
    assert.match(await curl('/grpc.health.v1.Health/Check', '-d', '{"service": "hive.v1.StepService"}'), /"status":\s*"SERVING"/)
    assert.match(await curl('/hive.v1.HostService/Info', '-d', '{}'), /p-hive1\.small/)
    assert.match(await curl('', '--list-methods'), /hive\.v1\.SwarmService\/SetRole/)
  })

  test('generated secrets are in no journal, log, plan or error', async () => {
    const secretFile = join(site.contextDir, 'store_password')
    const old = readFileSync(secretFile, 'utf8').trim()
    const changed = 'Zq7Wn3Xv9Kp2Lm5Rt8Yb'
    writeFileSync(secretFile, `${changed}\n`)
    // It fails, so that an error tells of it.
    site.edit('inventory/services.yml', (text) => text.replace('trap exit TERM; while', 'test -e /missing || exit 7; while'))
    const planned = await site.run(['plan'])
    assert.match(JSON.stringify(planned.result), /service store/)
    const failed = await site.run(['deploy'])
    assert.equal(failed.code, 1)
    assert.match((failed.result as DeployResult).errors[0]?.message ?? '', /exit code 7/)

    const tokens = (await site.onHost('p-hive0.small', 'docker swarm join-token -q manager; docker swarm join-token -q worker')).trim().split('\n')
    const registry = readFileSync(join(site.contextDir, 'registry_login_password'), 'utf8').trim()
    const secrets = new Map([old, changed, registry, ...tokens].map((secret) => [secret, `${secret.slice(0, 3)}…`]))
    assert.equal(secrets.size, 5)
    const texts = new Map<string, string>([
      ['plan', JSON.stringify(planned)],
      ['deploy', JSON.stringify(failed)],
      ['status', JSON.stringify(await site.succeed(['status']))],
      ['inventory', JSON.stringify(await site.succeed(['inventory']))],
    ])
    const runs = join(site.contextDir, 'runs')
    for (const name of readdirSync(runs)) texts.set(`runs/${name}`, readFileSync(join(runs, name), 'utf8'))
    for (const name of hosts) {
      texts.set(`${name}: log`, await site.onHost(name, 'journalctl -u hive-agent --output cat --no-pager'))
      texts.set(`${name}: journals`, await site.onHost(name, 'cat /var/lib/hive-agent/runs/*'))
      texts.set(`${name}: command lines`, await site.onHost(name, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'))
    }
    for (const [place, text] of texts) {
      assert.ok(text.length > 0, place)
      for (const [secret, shown] of secrets) assert.ok(!text.includes(secret), `${shown} is in ${place}`)
    }
    for (const file of ['registry_password', 'registry_login_password', 'store_password', 'id_rsa', 'ca/cakey.pem'])
      assert.match((statSync(join(site.contextDir, file)).mode & 0o777).toString(8), /^[46]00$/, file)

    site.edit('inventory/services.yml', (text) => text.replace('test -e /missing || exit 7; while', 'trap exit TERM; while'))
    await site.succeed(['deploy'])
  })

  test('a host whose ssh key changed gets no agent before somebody says that it is right', async () => {
    const third = 'p-hive2.small'
    await site.onHost(third, 'systemctl stop hive-agent; rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh')
    const refused = await site.run(['deploy', '--only', 'build-infra'])
    assert.equal(refused.code, 1)
    const [error] = (refused.result as DeployResult).errors
    assert.match(error?.message ?? '', /p-hive2\.small .* shows another host key than before/)
    const [, option = '', host = ''] = /hivecoord deploy (--\S+) ([^;\s]+)/.exec(error?.hint ?? '') ?? []
    await site.succeed(['deploy', '--only', 'build-infra', option, host])
    assert.deepEqual(openIn(await plan(site)), [])
  })
})
