/** The agent as an installed package, under a host's own systemd. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type BuiltPackage, buildPackage } from '../../packaging/build-packages.mjs'
import { ensureTools, type Outcome, outcomeOf, run } from '../packages/harness/tools.ts'
import { SiteCa } from '../unit/agent-core/site-ca.ts'
import { eventually, patience } from './harness/eventually.ts'

const checkout = new URL('../..', import.meta.url).pathname
const hosts = join(checkout, 'test/lab/hosts/main.ts')
const prefix = 'pkg'
const name = 'host.example'
const newer = '9.1.0'

let leader: number
let work: string
let first: BuiltPackage
let second: BuiltPackage
let ca: SiteCa

const takeDown = (): void => void spawnSync(process.execPath, [hosts, 'down', prefix], { stdio: 'ignore', timeout: 60_000 })
process.on('exit', () => {
  if (work !== undefined) takeDown()
})
process.once('SIGTERM', () => process.exit(143))
process.once('SIGINT', () => process.exit(130))

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'hive-package-test-'))
  await ensureTools()
  first = await buildPackage('deb')
  second = await buildPackage('deb', { version: newer })
  ca = await SiteCa.make('package test')
  const admin = await ca.issue('hive:admin', 'somebody')
  for (const [file, content] of Object.entries({ 'ca.pem': ca.pem, 'cert.pem': admin.cert, 'key.pem': admin.key })) writeFileSync(join(work, file), content)
  // A host that a killed run left here has an agent with its site.
  takeDown()
  const made = JSON.parse(await run([process.execPath, hosts, 'up', prefix, '1'])) as { hosts: { leader: number }[] }
  leader = made.hosts[0]?.leader ?? 0
  assert.ok(leader > 0)
})
after(() => {
  takeDown()
  rmSync(work, { recursive: true, force: true })
})

/** A shell command on the host. */
const attempt = (command: string): Promise<Outcome> =>
  outcomeOf(['nsenter', '--target', String(leader), '--mount', '--uts', '--ipc', '--net', '--pid', '--', 'sh', '-c', command], { cwd: '/' })
async function onHost(command: string): Promise<string> {
  const { code, out, err } = await attempt(command)
  assert.equal(code, 0, `${command}: ${out}${err}`)
  return out.trim()
}
const put = (path: string, from: string): void => copyFileSync(from, `/proc/${leader}/root${path}`)
const install = async ({ path, fileName }: BuiltPackage): Promise<void> => {
  put(`/root/${fileName}`, path)
  await onHost(`DEBIAN_FRONTEND=noninteractive dpkg --install /root/${fileName} 2>&1`)
}
const state = async (): Promise<string> => (await attempt('systemctl is-active hive-agent')).out.trim()

/** Makes the host part of a site, as the bootstrap does. */
async function enroll(): Promise<void> {
  await onHost(`echo '{"host": "${name}", "address": "127.0.0.1"}' > /etc/hive-agent/agent.json`)
  const request = await onHost(`hive-agent csr --name ${name} --dns ${name} --ip 127.0.0.1`)
  writeFileSync(`/proc/${leader}/root/root/signed.json`, JSON.stringify({ certificate: await ca.sign(request), ca: ca.pem }))
  await onHost('hive-agent install-certificate < /root/signed.json')
}

/** What the agent tells a client with a certificate over mutual TLS. */
async function info(): Promise<{ version: string; binarySha256: string }> {
  const buf = join(checkout, 'node_modules/@bufbuild/buf-linux-x64/bin/buf')
  const tls = ['--cacert', join(work, 'ca.pem'), '--cert', join(work, 'cert.pem'), '--key', join(work, 'key.pem'), '--servername', name]
  const call = [buf, 'curl', '--protocol', 'grpc', ...tls, 'https://127.0.0.1:17443/hive.v1.HostService/Info', '-d', '{}']
  return JSON.parse(await run(['nsenter', '--target', String(leader), '--net', '--', ...call]))
}

test('on a host that is in no site it is enabled, does not run, and does not fail', async () => {
  await install(first)
  assert.equal(await state(), 'inactive')
  assert.equal(await onHost('systemctl is-enabled hive-agent'), 'enabled')
  assert.equal(await onHost('systemctl show -P FragmentPath hive-agent'), '/lib/systemd/system/hive-agent.service')
  await onHost('systemctl start hive-agent')
  assert.equal(await state(), 'inactive')
  assert.equal(await onHost('stat -c %a /etc/hive-agent /var/lib/hive-agent | sort -u'), '700')
})

test('with configuration and certificate it starts and answers', async () => {
  await enroll()
  await onHost('systemctl start hive-agent')
  const { version, binarySha256 } = await info()
  assert.deepEqual({ version, binarySha256 }, { version: first.version, binarySha256: first.binarySha256 })
})

test('systemd knows what holds for it, and had nothing to complain about', async () => {
  const shown = await onHost('systemctl show -p Type,NotifyAccess,WatchdogUSec,Restart,OOMPolicy,NeedDaemonReload,LockPersonality,RestrictRealtime hive-agent')
  const properties = Object.fromEntries(shown.split('\n').map((line) => line.split('=')))
  assert.deepEqual(properties, {
    Type: 'notify',
    NotifyAccess: 'all',
    WatchdogUSec: '2min',
    Restart: 'always',
    OOMPolicy: 'continue',
    NeedDaemonReload: 'no',
    LockPersonality: 'yes',
    RestrictRealtime: 'yes',
  })
  assert.equal(await onHost('systemd-analyze verify --man=no /lib/systemd/system/hive-agent.service 2>&1'), '')
})

test('what it mounts and sees is the host’s own: it is in the host’s mount namespace', async () => {
  const pid = await onHost('systemctl show -P MainPID hive-agent')
  assert.equal(await onHost(`readlink /proc/${pid}/ns/mnt`), await onHost('readlink /proc/1/ns/mnt'))
})

test('it stops in order each time, also in the middle of telling systemd how it is', async () => {
  for (let round = 0; round < 25; round += 1) {
    await onHost('systemctl start hive-agent && systemctl stop hive-agent')
    assert.equal(await onHost('systemctl show -P Result hive-agent'), 'success', `round ${round}`)
  }
  await onHost('systemctl start hive-agent')
})

test('an upgrade restarts it as the new one and keeps what was edited', async () => {
  await onHost('echo HTTPS_PROXY=http://proxy.example:3128 >> /etc/default/hive-agent')
  await install(second)
  const { version, binarySha256 } = await info()
  assert.deepEqual({ version, binarySha256 }, { version: newer, binarySha256: second.binarySha256 })
  assert.match(await onHost('tr "\\0" "\\n" < /proc/$(systemctl show -P MainPID hive-agent)/environ'), /^HTTPS_PROXY=http:\/\/proxy\.example:3128$/m)
})

test('an upgrade that one of its own steps makes restarts it only when the package manager is done', async () => {
  put(`/root/${first.fileName}`, first.path)
  const pid = await onHost('systemctl show -P MainPID hive-agent')
  // As its children are: in its control group.
  const group = await onHost('systemctl show -P ControlGroup hive-agent')
  await onHost(
    `sh -c 'echo $$ > "/sys/fs/cgroup${group}/cgroup.procs" 2>/dev/null || echo $$ > "/sys/fs/cgroup/systemd${group}/cgroup.procs"; dpkg --install /root/${first.fileName} > /root/said 2>&1; echo $? >> /root/said'`,
  )
  assert.equal((await onHost('tail -n 1 /root/said')).trim(), '0')
  await eventually('the other agent', patience, async () => (await info()).version === first.version)
  assert.notEqual(await onHost('systemctl show -P MainPID hive-agent'), pid)
})

test('an agent that came without a package is taken over, and goes on under the package’s unit', async () => {
  await onHost('dpkg --purge hive-agent 2>&1')
  await onHost(`mkdir -p /root/old /etc/hive-agent && cd /root/old && dpkg-deb -x /root/${second.fileName} . && cp usr/bin/hive-agent /usr/bin/hive-agent`)
  await enroll()
  writeFileSync(`/proc/${leader}/root/etc/systemd/system/hive-agent.service`, readFileSync(join(checkout, 'packaging/hive-agent.service')))
  await onHost('systemctl daemon-reload && systemctl enable --quiet --now hive-agent')
  assert.equal((await info()).version, newer)
  await install(first)
  assert.equal((await info()).version, first.version)
  assert.equal(await onHost('systemctl show -P FragmentPath hive-agent'), '/lib/systemd/system/hive-agent.service')
  assert.equal(await onHost('systemctl is-enabled hive-agent'), 'enabled')
})

test('removed, nothing of it runs; certificates and journals stay, and it comes back as it was', async () => {
  await onHost('touch /var/lib/hive-agent/kept && dpkg --remove hive-agent 2>&1')
  assert.notEqual(await state(), 'active')
  assert.notEqual((await attempt('pgrep -f ^/usr/bin/hive-agent')).code, 0)
  assert.notEqual((await attempt('systemctl cat hive-agent')).code, 0)
  assert.equal((await attempt('ls /etc/systemd/system/multi-user.target.wants/hive-agent.service')).out, '')
  await onHost('test -s /etc/hive-agent/pki/key.pem && test -e /var/lib/hive-agent/kept')
  await install(second)
  assert.equal((await info()).version, newer)
})

test('purged, nothing of it is left', async () => {
  await onHost('dpkg --purge hive-agent 2>&1')
  const left = await onHost(
    'find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /run -o -path /var/log \\) -prune -o -name "*hive-agent*" -print',
  )
  assert.equal(left, '')
})

test('the RPM does the same: it waits for a site, starts, is upgraded, goes', async () => {
  const [older, later] = [await buildPackage('rpm'), await buildPackage('rpm', { version: newer })]
  await bringRpm()
  await rpm('-i', older)
  assert.equal(await state(), 'inactive')
  await enroll()
  await onHost('systemctl start hive-agent')
  assert.equal((await info()).version, older.version)
  await onHost('echo HTTPS_PROXY=http://proxy.example:3128 >> /etc/sysconfig/hive-agent')
  await rpm('-U', later)
  const { version, binarySha256 } = await info()
  assert.deepEqual({ version, binarySha256 }, { version: newer, binarySha256: later.binarySha256 })
  await onHost('grep -q ^HTTPS_PROXY= /etc/sysconfig/hive-agent')
  await rpm('-e', 'hive-agent')
  assert.notEqual((await attempt('pgrep -f ^/usr/bin/hive-agent')).code, 0)
  assert.notEqual((await attempt('systemctl cat hive-agent')).code, 0)
  await onHost('test -s /etc/hive-agent/pki/key.pem && test -s /etc/sysconfig/hive-agent.rpmsave')
})

/** This machine's rpm with its libraries: hosts here are Debian's, and have none. */
async function bringRpm(): Promise<void> {
  const folder = `/proc/${leader}/root/opt/rpm`
  mkdirSync(join(folder, 'lib'), { recursive: true })
  copyFileSync('/usr/bin/rpm', join(folder, 'rpm'))
  for (const [, library] of (await run(['ldd', '/usr/bin/rpm'])).matchAll(/=> (\/\S+)/g))
    if (library !== undefined) copyFileSync(library, join(folder, 'lib', basename(library)))
  cpSync('/usr/lib/rpm', join(folder, 'config'), { recursive: true })
}

/** `what`: a package, or the name of one. Without dependencies, which are of EL. */
async function rpm(action: string, what: BuiltPackage | string): Promise<void> {
  const file = typeof what === 'string' ? what : `/root/${what.fileName}`
  if (typeof what !== 'string') put(file, what.path)
  await onHost(`LD_LIBRARY_PATH=/opt/rpm/lib RPM_CONFIGDIR=/opt/rpm/config /opt/rpm/rpm --dbpath /opt/rpm/db --nodeps ${action} ${file} 2>&1`)
}
