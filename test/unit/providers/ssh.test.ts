import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { quoted, sshArguments, whyNoLogin } from '../../../coordinator/bootstrap/ssh.ts'
import { renderSshConfig } from '../../../coordinator/bootstrap/ssh-config.ts'
import { workingTarget } from '../../../coordinator/bootstrap/working-target.ts'
import type { Host } from '../../../coordinator/inventory/site.ts'
import { createAdminScript } from '../../../coordinator/providers/prepared/create-admin.ts'
import type { SshTarget } from '../../../coordinator/providers/provider.ts'
import { HiveError } from '../../../proto/errors.ts'

const target: SshTarget = { host: 's-hive0.pdns', address: '10.1.0.5', port: 22, user: 'admin', identityFile: '/c/id_rsa', password: undefined }

describe('ssh_config', () => {
  it('has one strict block a host, in order', () => {
    const text = renderSshConfig([target, { ...target, host: 's-hive1.pdns', address: '10.1.0.6', port: 2222 }], '/c/known_hosts')
    assert.equal(
      text.split('\n\n')[0],
      `Host s-hive0.pdns
  HostName 10.1.0.5
  User admin
  Port 22
  IdentityFile "/c/id_rsa"
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "/c/known_hosts"
  LogLevel FATAL`,
    )
    assert.match(text, /Host s-hive1\.pdns\n {2}HostName 10\.1\.0\.6\n {2}User admin\n {2}Port 2222/)
  })

  it('spares hosts of this machine the costly key exchange, and no others', () => {
    const configured = (one: SshTarget): string | undefined => /^ {2}(KexAlgorithms .*)$/m.exec(renderSshConfig([one], '/c/known_hosts'))?.[1]
    const given = (one: SshTarget): string | undefined => sshArguments(one, '/c', true).find((argument) => argument.startsWith('KexAlgorithms='))
    const near: SshTarget = { ...target, sameMachine: true }
    assert.deepEqual([configured(near), given(near)], ['KexAlgorithms ^curve25519-sha256', 'KexAlgorithms=^curve25519-sha256'])
    assert.deepEqual([configured(target), given(target)], [undefined, undefined])
  })
})

describe('why ssh gave no log-in', () => {
  it('tells a changed host key, a refusal and silence apart, and says what to do', () => {
    const changed = whyNoLogin(target, '/c', '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.')
    const refused = whyNoLogin(target, '/c', 'admin@10.1.0.5: Permission denied (publickey).')
    const silent = whyNoLogin(target, '/c', 'ssh: connect to host 10.1.0.5 port 22: Connection refused')
    assert.deepEqual([changed.code, refused.code, silent.code], ['conflict', 'denied', 'unreachable'])
    assert.match(changed.hint ?? '', /hivecoord deploy --replace s-hive0; else somebody is in between .*\/c\/known_hosts/)
    assert.match(refused.hint ?? '', /hive_root_password/)
    for (const { message, host } of [changed, refused, silent]) {
      assert.match(message, /admin@10\.1\.0\.5:22/)
      assert.equal(host, 's-hive0.pdns')
    }
  })
})

describe('arguments for a remote shell', () => {
  it('arrive as they were, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
        (text) => {
          assert.equal(execFileSync('/bin/sh', ['-c', `printf %s ${quoted(text)}`]).toString(), text)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('make a script for the admin user that a shell can parse', () => {
    const script = createAdminScript({ admin: "o'hara", group: 'wheel', uid: 1000, gid: undefined, publicKey: "ssh-rsa AAAA it's mine" })
    execFileSync('/bin/sh', ['-n', '-c', script])
  })
})

describe('the log-in that works', () => {
  const host = { settings: { admin: 'admin', sshdPort: 30022 } } as Host
  const root: SshTarget = { ...target, user: 'root' }
  const away = new HiveError('unreachable', 'nobody listens')
  const refused = new HiveError('denied', 'no')

  it('is found on another port and as another user, also while the host still boots', async () => {
    const asked: string[] = []
    const found = await workingTarget(host, root, '/c', new AbortController().signal, 60_000, ({ user, port }) => {
      asked.push(`${user}@${port}`)
      if (asked.length <= 2 || port === 22) return Promise.reject(away)
      return user === 'root' ? Promise.reject(refused) : Promise.resolve()
    })
    assert.deepEqual([found.user, found.port], ['admin', 30022])
    assert.deepEqual(asked, ['root@22', 'root@30022', 'root@22', 'root@30022', 'admin@30022'])
  })

  it('is missing where a host that is up refuses all, which is said at once', async () => {
    const tries = ({ port }: SshTarget) => Promise.reject(port === 22 ? away : refused)
    await assert.rejects(workingTarget(host, root, '/c', new AbortController().signal, 60_000, tries), refused)
    await assert.rejects(
      workingTarget(host, root, '/c', new AbortController().signal, 0, () => Promise.reject(away)),
      away,
    )
  })
})

describe('a host key that is not known yet', () => {
  it('is recorded only where hosts are set up, and looked up always', () => {
    const filesOf = (records: boolean) => sshArguments(target, '/c', records).find((argument) => argument.startsWith('UserKnownHostsFile='))
    assert.equal(filesOf(true), 'UserKnownHostsFile="/c/known_hosts"')
    assert.equal(filesOf(false), 'UserKnownHostsFile=/dev/null "/c/known_hosts"')
  })
})
