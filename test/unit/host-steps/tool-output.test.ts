import assert from 'node:assert/strict'
import test from 'node:test'
import { parseGroup, parsePasswd } from '../../../agent/adapters/accounts.ts'
import {
  parseCandidates,
  parseCheckUpdate,
  parseDnfUnknown,
  parseDpkg,
  parseRpmMissing,
  parseSimulated,
  parseVersionlock,
} from '../../../agent/adapters/packages.ts'
import { parseUnitStatus, parseUnitStatuses } from '../../../agent/adapters/systemd.ts'
import { restartReasons } from '../../../agent/server/host/why-restart.ts'
import { isYoung } from '../../../agent/steps/ensure-updated.ts'

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

test('apt-get --simulate: what would be installed, new packages too, what is not set up yet, and nothing of what is kept back', () => {
  const output = [
    'The following packages have been kept back:',
    '  docker-ce',
    'Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])',
    'Conf base-files (12.4+deb12u15 Debian:12.15/oldstable [amd64])',
    'Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian:12.15/oldstable [amd64])',
    'Conf half-done (1.2 localhost [all])',
    'Remv old [1.0]',
  ].join('\n')
  assert.deepEqual(parseSimulated(output), ['base-files', 'linux-image-6.1.0-40-amd64', 'half-done'])
  assert.deepEqual(parseSimulated('0 upgraded, 0 newly installed, 0 to remove and 1 not upgraded.\n'), [])
})

test('dnf check-update: names without architecture, up to what is obsoleted', () => {
  const output = [
    '',
    'docker-ce-cli.noarch      2.0-1       docker-ce-stable',
    'python3.11-libs.x86_64  3.11.9-7.el9  appstream',
    'Obsoleting Packages',
    'new.x86_64  2  base',
    '    old.x86_64  1  @base',
  ].join('\n')
  assert.deepEqual(parseCheckUpdate(output), ['docker-ce-cli', 'python3.11-libs'])
  assert.deepEqual(parseCheckUpdate('\n'), [])
})

test('a note of lists is young for an hour, and not in the future', () => {
  const now = Date.parse('2026-01-01T12:00:00Z')
  assert.deepEqual(
    ['2026-01-01T11:30:00Z\n', '2026-01-01T10:59:00Z\n', '2026-01-01T13:00:00Z\n', ''].map((note) => isYoung(note, now)),
    [true, false, false, false],
  )
})

test('a restart is needed by another kernel, by packages that flag it, or by what is in use', () => {
  const quiet = { running: '6.1', next: '6.1', flagged: undefined, needed: false }
  assert.deepEqual(restartReasons(quiet), [])
  assert.deepEqual(restartReasons({ ...quiet, next: undefined }), [])
  assert.deepEqual(restartReasons({ ...quiet, next: '6.2', needed: true, flagged: ['dbus'] }), [
    'runs kernel 6.1, and 6.2 boots next',
    'packages ask for it: dbus',
  ])
  assert.deepEqual(restartReasons({ ...quiet, needed: true }), ['libraries or services in use were updated'])
})

test('systemctl’s answers for several units are told apart by their order', () => {
  const shown = (id: string, load: string) => `Id=${id}\nLoadState=${load}\nActiveState=active\n`
  const found = parseUnitStatuses(['sshd.service', 'none.service'], `${shown('ssh.service', 'loaded')}\n${shown('none.service', 'not-found')}`)
  assert.deepEqual([found[0]?.name, found[1]?.load], ['ssh.service', 'not-found'])
  assert.throws(() => parseUnitStatuses(['a.service', 'b.service'], shown('a.service', 'loaded')), /tells of 1 units/)
})
