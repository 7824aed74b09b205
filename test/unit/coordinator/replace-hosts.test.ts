import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { forgetHostKeys, nameInKnownHosts } from '../../../coordinator/bootstrap/known-hosts.ts'
import { forgetReplaced } from '../../../coordinator/bootstrap/replace-hosts.ts'
import { startLab } from './support/lab.ts'
import { tempFolder } from './support/temp.ts'

/** A known_hosts with one key under each of these names. */
function record(folder: string, ...names: readonly string[]): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(folder, 'key')])
  const key = readFileSync(join(folder, 'key.pub'), 'utf8').trim()
  writeFileSync(join(folder, 'known_hosts'), names.map((name) => `${name} ${key}\n`).join(''))
}

const recorded = (folder: string): readonly string[] =>
  readFileSync(join(folder, 'known_hosts'), 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[0] || [])

test('only the keys of the named hosts are forgotten, each at its own port', async (t) => {
  const folder = tempFolder(t)
  await forgetHostKeys(folder, ['10.1.0.4'])
  record(folder, '10.1.0.4', '10.1.0.40', '[10.1.0.4]:2222', '10.1.0.5')
  await forgetHostKeys(folder, [nameInKnownHosts('10.1.0.4', 22)])
  assert.deepEqual(recorded(folder), ['10.1.0.40', '[10.1.0.4]:2222', '10.1.0.5'])
  await forgetHostKeys(folder, [nameInKnownHosts('10.1.0.4', 2222), '10.9.9.9'])
  assert.deepEqual(recorded(folder), ['10.1.0.40', '10.1.0.5'])
})

test('a replaced host loses its key and counts as one without an agent; one that still answers loses nothing', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  for (const host of lab.site.hosts) Object.assign(host.settings, { sshdPort: 2222 })
  Object.assign(lab.site.hosts[1] ?? {}, { address: '127.0.0.9' })
  record(lab.site.contextDir, '127.0.0.1', '[127.0.0.9]:2222', '127.0.0.7')
  await lab.running.get('repo')?.stop()
  const told: string[] = []
  await forgetReplaced(
    {
      site: lab.site,
      provider: { sshTarget: (_, host) => ({ host, address: '127.0.0.7', port: 22, user: 'root', identityFile: '', password: undefined }) },
      pki: lab.pki,
      agents: lab.agents,
      emit: (event) => void (event.code === 'notice' && told.push(event.message)),
      signal: AbortSignal.timeout(30_000),
    },
    new Set(['h0', 'repo']),
  )
  assert.deepEqual(recorded(lab.site.contextDir), ['127.0.0.1'])
  assert.deepEqual(
    ['h0', 'repo'].map((host) => lab.pki.enrolled(host)),
    [true, false],
  )
  assert.match(told.join('\n'), /^h0 answers as the host that it was.*\nrepo: its ssh key is forgotten and its certificate revoked/)
})
