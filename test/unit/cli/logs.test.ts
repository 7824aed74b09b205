import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usualSource } from '../../../cli/commands/logs.ts'
import { service, site } from '../phases/sample-site.ts'

test('logs are read where they are kept: on the repository server, unless the service logs elsewhere or is not known', () => {
  const stage = site({ services: [service(), service({ name: 'own', logging: { driver: 'local', options: {} } })] })
  assert.equal(usualSource(stage, 'web'), 'repository')
  assert.equal(usualSource(stage, 'own'), 'containers')
  assert.equal(usualSource(stage, 'nobody'), 'containers')
  assert.equal(usualSource({ ...stage, hosts: [] }, 'web'), 'containers')
})
