/** What docker is asked to make of a plain container, and when it has to be made anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EnsureContainer } from '#gen/hive/v1/steps_repository.ts'
import { containerBody, differingParts, wantedParts } from '../../../agent/adapters/docker/plain-container.ts'

const spec: EnsureContainer = {
  name: 'hive-zabbix-db',
  image: { reference: 'postgres:16', auth: undefined, blobSha256: '', rootFilesystem: false, sourceReference: '' },
  variables: [
    { name: 'POSTGRES_USER', value: 'zabbix' },
    { name: 'POSTGRES_PASSWORD', value: 'a-secret' },
  ],
  volumes: [
    { source: 'hive-zabbix-data', target: '/data', readOnly: false },
    { source: '/etc/hosts', target: '/etc/hosts', readOnly: true },
  ],
  ports: [
    { address: '10.0.0.4', published: 10051, target: 10051, protocol: 'tcp' },
    { address: '127.0.0.1', published: 10051, target: 10051, protocol: 'tcp' },
  ],
  network: { name: 'hive-zabbix', subnet: '172.31.255.128/25', gateway: '172.31.255.129', address: '172.31.255.132', aliases: ['zabbix-database'] },
  command: [],
  restart: 'unless-stopped',
  stopSeconds: 60,
  readyCommand: ['true'],
  readySeconds: 0,
  memoryBytes: 0n,
}

test('addresses, volumes and ports reach docker as asked for', () => {
  const body = containerBody(spec)
  assert.deepEqual(body.HostConfig.PortBindings, {
    '10051/tcp': [
      { HostIp: '10.0.0.4', HostPort: '10051' },
      { HostIp: '127.0.0.1', HostPort: '10051' },
    ],
  })
  assert.deepEqual(
    body.HostConfig.Mounts.map(({ Type, Source, ReadOnly }) => [Type, Source, ReadOnly]),
    [
      ['volume', 'hive-zabbix-data', false],
      ['bind', '/etc/hosts', true],
    ],
  )
  assert.deepEqual(body.NetworkingConfig?.EndpointsConfig, {
    'hive-zabbix': { Aliases: ['zabbix-database'], IPAMConfig: { IPv4Address: '172.31.255.132' } },
  })
  assert.equal('Cmd' in body, false)
})

test('what a container was made from is kept as digests: a password is in no label', () => {
  const labels = JSON.stringify(containerBody(spec).Labels)
  assert.ok(!labels.includes('a-secret'))
  assert.deepEqual(differingParts(spec, { parts: wantedParts(spec) }), [])
})

test('each part that differs is named; what only the step waits for makes no other container', () => {
  const parts = wantedParts(spec)
  assert.deepEqual(differingParts({ ...spec, variables: [...spec.variables].reverse(), readyCommand: ['false'], readySeconds: 5 }, { parts }), [])
  assert.deepEqual(differingParts({ ...spec, variables: [{ name: 'POSTGRES_USER', value: 'other' }], ports: [] }, { parts }), ['variables', 'ports'])
  assert.deepEqual(differingParts({ ...spec, command: ['x'], stopSeconds: 5 }, { parts }), ['command', 'limits'])
  assert.deepEqual(differingParts(spec, { parts: {} }), Object.keys(parts))
})
