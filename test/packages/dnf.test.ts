/** The agent's steps for package sources and packages with a real dnf and rpm, of Debian's packages, and repositories like those of an EL host. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import type { Seen } from './guest/dnf.ts'
import { runInDnfRoot } from './harness/dnf-root.ts'

const installed = [
  ...['ansible', 'ca-certificates', 'chrony', 'containerd.io', 'docker-ce', 'docker-ce-cli', 'hostname', 'iptables'],
  ...['lvm2', 'python3', 'python3-libselinux', 'rsyslog', 'rsyslog-relp', 'sudo', 'tzdata'],
]

suite('package sources and packages by dnf', () => {
  let seen: Seen

  before(async () => {
    seen = JSON.parse(await runInDnfRoot('test/packages/guest/dnf.ts', AbortSignal.timeout(600_000))) as Seen
  })

  const reason = (outcome: Seen['before']): string => (outcome.kind === 'ok' ? '' : outcome.reason)

  test('sources that are missing are made, and then as wanted', () => {
    assert.equal(reason(seen.sourcesBefore), '/etc/yum.repos.d/docker-ce.repo is not there; /etc/yum.repos.d/hive-epel.repo is not there')
    assert.deepEqual(seen.sourcesAfter, { kind: 'ok' })
  })

  test('what another package provides is not missing', () => {
    assert.equal(reason(seen.before), `not installed: ${installed.join(', ')}`)
  })

  test('packages come signed from all sources with what they need, without what they only recommend; then nothing is left to do', () => {
    assert.deepEqual(seen.after, { kind: 'ok' })
    const provided = installed.map((name) => (name === 'iptables' ? 'iptables-nft' : name))
    assert.deepEqual(seen.all, [...provided, 'ansible-core', 'container-selinux', 'curl-minimal', 'el-release', 'gpg-pubkey'].sort())
  })

  test('a package that no source has is named', () => {
    assert.equal(reason(seen.unknownBefore), 'not installed: no-such-package')
    assert.deepEqual(seen.refused, { code: 'not-found', message: 'no package source of this host has no-such-package' })
  })

  test('packages are removed and held, and what is held is not upgraded', () => {
    assert.equal(reason(seen.heldBefore), 'not installed: telnet; installed: hostname; not held: docker-ce')
    assert.deepEqual(seen.heldAfter, { kind: 'ok' })
    assert.ok(!seen.changed.includes('hostname'))
    assert.ok(seen.changed.includes('telnet'))
    assert.deepEqual(seen.versions, ['docker-ce 1.0', 'docker-ce-cli 2.0'])
    assert.deepEqual(seen.stillHeld, { kind: 'ok' })
  })

  test('what is new is known once the lists are fetched, and then installed, but for what is held', () => {
    const { pendingBefore, listsBefore, listsAfter, pending, pendingAfter } = seen.updates
    assert.deepEqual(pendingBefore, { kind: 'ok' })
    assert.equal(reason(listsBefore), 'what the package sources have may be newer than is known')
    assert.deepEqual(listsAfter, { kind: 'ok' })
    assert.equal(pending.kind === 'change' ? pending.after : pending.kind, 'docker-ce-cli')
    assert.deepEqual(pendingAfter, { kind: 'ok' })
  })
})
