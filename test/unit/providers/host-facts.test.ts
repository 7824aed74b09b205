import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { factsScript, type HostFacts, packageFor, readHostFacts } from '../../../coordinator/bootstrap/host-facts.ts'
import { installScript } from '../../../coordinator/bootstrap/install-package.ts'
import { HiveError } from '../../../proto/errors.ts'

const debian = readHostFacts(
  'machine=x86_64\nglibc=glibc 2.36\nkin=debian \nsystem=Debian GNU/Linux 12 (bookworm)\ntool=dpkg\ntool=systemctl\nbinary=abc  /usr/bin/hive-agent\npackage=deb\nconfig=def  /etc/hive-agent/agent.json\n',
)
const rocky: HostFacts = {
  ...debian,
  kin: ['rocky', 'rhel', 'centos', 'fedora'],
  system: 'Rocky Linux 8.10',
  glibc: '2.28',
  tools: ['rpm', 'dnf', 'systemctl'],
}

describe('the package for a host', () => {
  it('is chosen by its package manager, and where it has both by what it is made of', () => {
    const both = ['rpm', 'dnf', 'dpkg', 'systemctl']
    assert.equal(packageFor('h', debian), 'deb')
    assert.equal(packageFor('h', rocky), 'rpm')
    assert.equal(packageFor('h', { ...rocky, tools: ['rpm', 'yum', 'systemctl'] }), 'rpm')
    assert.equal(packageFor('h', { ...debian, tools: both }), 'deb')
    assert.equal(packageFor('h', { ...rocky, tools: both }), 'rpm')
    // rpm alone, as a tool on a Debian-like system.
    assert.equal(packageFor('h', { ...debian, kin: ['devuan'], tools: ['rpm', 'dpkg', 'systemctl'] }), 'deb')
  })

  it('is none where it would not run, and the error says what the host is and what is missing', () => {
    const why = (facts: Partial<HostFacts>): string => {
      try {
        packageFor('h1', { ...rocky, ...facts })
      } catch (error) {
        assert.ok(error instanceof HiveError && error.code === 'unsupported' && error.host === 'h1')
        return error.message
      }
      throw new Error('it has a package')
    }
    assert.match(why({ machine: 'aarch64' }), /h1 is Rocky Linux 8\.10: its processor is aarch64/)
    assert.match(why({ system: 'CentOS Linux 7 (Core)', glibc: '2.17' }), /CentOS Linux 7 \(Core\): its glibc is 2\.17, and the agent needs 2\.28/)
    assert.match(why({ system: 'Alpine Linux v3.20', glibc: '' }), /no glibc/)
    assert.match(why({ tools: ['systemctl'] }), /neither rpm with dnf or yum, nor dpkg/)
    assert.match(why({ tools: ['dpkg'] }), /no systemd/)
  })

  it('is known from what a shell tells of this machine', () => {
    const facts = readHostFacts(execFileSync('/bin/sh', ['-c', factsScript], { encoding: 'utf8' }))
    assert.equal(facts.machine, 'x86_64')
    assert.match(facts.glibc, /^2\.\d+$/)
    assert.notEqual(facts.system, '')
    assert.deepEqual([debian.binarySha256, debian.packaged, debian.configSha256], ['abc', true, 'def'])
  })
})

describe('installing a package', () => {
  it('is a script that any shell can parse', () => {
    for (const kind of ['deb', 'rpm'] as const)
      execFileSync('/bin/sh', ['-n', '-c', installScript({ kind, fileName: "hive-agent 1.0~rc'1.deb", sha256: '0'.repeat(64) })])
  })
})
