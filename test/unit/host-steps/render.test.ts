import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import { keyOf, missingKeys } from '../../../agent/adapters/authorized-keys.ts'
import { localeGenLine, normalLocale } from '../../../agent/adapters/locale.ts'
import { passwordsFit, renderPasswords, renderRegistryConfig } from '../../../agent/adapters/registry-config.ts'
import { setVariable } from '../../../agent/adapters/variables-file.ts'
import { procPath, render } from '../../../agent/steps/ensure-sysctl.ts'

test('the registry serves TLS with passwords and lets images be deleted', () => {
  const config = parse(renderRegistryConfig(5000))
  assert.equal(config.http.addr, ':5000')
  assert.equal(config.http.tls.key, '/etc/docker/registry/tls/key.pem')
  assert.equal(config.auth.htpasswd.path, '/etc/docker/registry/htpasswd')
  assert.equal(config.storage.delete.enabled, true)
})

test('a password file fits its own user and password alone', async () => {
  const text = await renderPasswords('hive', 'secret')
  assert.equal(await passwordsFit(text, 'hive', 'secret'), true)
  assert.equal(await passwordsFit(text, 'hive', 'other'), false)
  assert.equal(await passwordsFit(text, 'ops', 'secret'), false)
  assert.equal(await passwordsFit(`${text}ops:x\n`, 'hive', 'secret'), false)
  assert.equal(await passwordsFit('', 'hive', 'secret'), false)
})

test('kernel settings are written sorted, names with a dot in a part keep it', () => {
  assert.equal(render({ b: '2', a: '1' }), 'a = 1\nb = 2\n')
  assert.equal(procPath('net.ipv4.conf.eth0/1.forwarding'), '/proc/sys/net/ipv4/conf/eth0.1/forwarding')
})

test('locales are the same in all spellings of their codeset', () => {
  assert.equal(normalLocale('ja_JP.UTF-8'), normalLocale('ja_JP.utf8'))
  assert.equal(localeGenLine('ja_JP.utf8'), 'ja_JP.UTF-8 UTF-8')
  assert.equal(localeGenLine('ja_JP.eucjp'), 'ja_JP.EUC-JP EUC-JP')
  assert.equal(localeGenLine('de_DE.utf8@euro'), 'de_DE.UTF-8@euro UTF-8')
})

test('a variable is set in place, once, beside the others', () => {
  assert.equal(setVariable('', 'LANG', 'C'), 'LANG=C\n')
  assert.equal(setVariable('# x\nLANG=a\nLC_TIME=b\nLANG=c\n', 'LANG', 'C'), '# x\nLANG=C\nLC_TIME=b\n')
  assert.equal(setVariable('SELINUX=enforcing\nSELINUXTYPE=targeted\n', 'SELINUX', 'permissive'), 'SELINUX=permissive\nSELINUXTYPE=targeted\n')
})

test('keys are known by type and key, whatever options and comments they have', () => {
  assert.equal(keyOf('no-pty,command="echo hi" ssh-ed25519 AAAA me@there'), 'ssh-ed25519 AAAA')
  assert.equal(keyOf('# ssh-ed25519 AAAA'), undefined)
  assert.deepEqual(missingKeys('from="10.*" ssh-rsa BBBB x\n', ['ssh-rsa BBBB y', 'ssh-ed25519 AAAA z']), ['ssh-ed25519 AAAA z'])
  assert.throws(() => missingKeys('', ['not a key']), { code: 'invalid-input' })
})
