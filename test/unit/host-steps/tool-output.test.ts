import assert from 'node:assert/strict'
import test from 'node:test'
import { parseGroup, parsePasswd } from '../../../agent/adapters/accounts.ts'
import { parseCandidates, parseDnfUnknown, parseDpkg, parseRpmMissing, parseVersionlock } from '../../../agent/adapters/packages.ts'
import { parseUnitStatus } from '../../../agent/adapters/systemd.ts'

test('dpkg: installed, held, half configured, removed', () => {
  const states = parseDpkg('adduser\tii \ndocker.io\thi \nchrony\tiU \nvim\trc \n')
  assert.deepEqual(states.get('adduser'), { installed: true, held: false, broken: false })
  assert.deepEqual(states.get('docker.io'), { installed: true, held: true, broken: false })
  assert.deepEqual(states.get('chrony'), { installed: false, held: false, broken: true })
  assert.deepEqual(states.get('vim'), { installed: false, held: false, broken: false })
})

test('dpkg: a package of two architectures is there when one is', () => {
  assert.equal(parseDpkg('libc6\trc \nlibc6\tii \n').get('libc6')?.installed, true)
  assert.equal(parseDpkg('libc6\tii \nlibc6\trc \n').get('libc6')?.installed, true)
})

test('rpm: names that are not there, asked by name or by what provides them', () => {
  assert.deepEqual([...parseRpmMissing('chrony-4.5-3.el9.x86_64\npackage docker-ce is not installed\nno package provides ansible\n')], ['docker-ce', 'ansible'])
})

test('apt-cache: only names with a candidate can be installed', () => {
  const output = `docker.io:
  Installed: (none)
  Candidate: 20.10.24+dfsg1-1+deb12u1
  Version table:
     20.10.24+dfsg1-1+deb12u1 500
awk:
  Installed: (none)
  Candidate: (none)
  Version table:
`
  assert.deepEqual([...parseCandidates(output)], ['docker.io'])
})

test('dnf versionlock: names of locked packages, comments and exclusions passed over', () => {
  const list = '# Added lock on Mon Nov 23\nkernel-modules-extra-0:5.14.0-503.el9.*\ndocker-ce-3:27.3.1-1.el9.*\n!vim-2:9.0-1.*\n'
  assert.deepEqual([...parseVersionlock(list)], ['kernel-modules-extra', 'docker-ce'])
})

test('getent: users and groups', () => {
  assert.deepEqual(parsePasswd('admin:x:1000:1001:Admin,,,:/home/admin:/bin/bash\n'), {
    name: 'admin',
    uid: 1000,
    gid: 1001,
    home: '/home/admin',
    shell: '/bin/bash',
  })
  assert.deepEqual(parseGroup('docker:x:115:admin,ops\n'), { name: 'docker', gid: 115, members: ['admin', 'ops'] })
  assert.deepEqual(parseGroup('docker:x:115:\n')?.members, [])
  assert.equal(parsePasswd(''), undefined)
  assert.equal(parseGroup(''), undefined)
})

test('systemctl show: an active unit with changed unit files', () => {
  const output =
    'Id=docker.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\nActiveEnterTimestampMonotonic=123456789\n'
  assert.deepEqual(parseUnitStatus(output), {
    name: 'docker.service',
    load: 'loaded',
    active: 'active',
    file: 'enabled',
    needsDaemonReload: true,
    activeSince: 123_456_789,
  })
})

test('systemctl show: a unit that the host does not have', () => {
  const output = 'Id=nosuch.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\nActiveEnterTimestampMonotonic=0\n'
  assert.equal(parseUnitStatus(output).load, 'not-found')
})

test('dnf tells all names that no repository has in one line', () => {
  assert.deepEqual(parseDnfUnknown(['Error: Unable to find a match: ansible no-such']), ['ansible', 'no-such'])
  assert.deepEqual(parseDnfUnknown(['Error: Failed to download metadata for repo']), [])
})
