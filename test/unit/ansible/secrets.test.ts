import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnsibleOutput } from '../../../agent/adapters/ansible/output.ts'
import { secretValues } from '../../../agent/adapters/ansible/secrets.ts'

test('values under names of secrets are found at any depth, others are not', () => {
  const variables = {
    db_password: 'hunter2hunter2',
    api: { token: 'abcdefgh12', url: 'https://example.com/' },
    users: [{ name: 'alice', MYSQL_PASSWORD: 'correct horse' }],
    admin_passwords: 'not this name',
    short_password: 'pdns',
    later_password: "{{ lookup('password', 'x') }}",
    ssl_private_key: '/etc/ssl/key.pem',
    password_file_mode: 'rw-------',
  }
  assert.deepEqual(secretValues(variables), ['hunter2hunter2', 'abcdefgh12', 'correct horse'])
  assert.deepEqual(secretValues(null), [])
})

test('what a task tells does not have them', () => {
  const lines: string[] = []
  const output = new AnsibleOutput((line) => lines.push(line), secretValues({ db_password: 'hunter2hunter2' }))
  output.line('@hive {"event":"result","status":"failed","task":"make user","msg":"mysql -phunter2hunter2 failed"}')
  assert.doesNotMatch([...lines, output.error(2, 'db')?.message].join('\n'), /hunter2/)
})
