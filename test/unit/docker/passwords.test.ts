import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EnsureService, EnsureVolume } from '#gen/hive/v1/steps_docker.ts'
import { canonicalService, differences } from '../../../agent/adapters/docker/compare-service.ts'
import { optionsWithoutPasswords, withoutPasswords } from '../../../agent/adapters/docker/passwords.ts'
import { toServiceSpec } from '../../../agent/adapters/docker/service-spec.ts'
import { redact } from '../../../proto/redact.ts'

test('passwords among settings are left out, whatever they are part of', () => {
  assert.equal(withoutPasswords('o=addr=1,password=hunter2,vers=3'), 'o=addr=1,password=…,vers=3')
  assert.equal(withoutPasswords('splunk-token=abc, splunk-url=https://x'), 'splunk-token=…, splunk-url=https://x')
  assert.equal(withoutPasswords('["--password=hunter2","-v"]'), '["--password=…","-v"]')
  assert.deepEqual(optionsWithoutPasswords({ o: 'username=a,password=hunter2', type: 'cifs', token: 'abc' }), {
    o: 'username=a,password=…',
    type: 'cifs',
    token: '…',
  })
})

test('a plan tells that a mount or a log driver differs without its password', () => {
  const specOf = (secret: string) =>
    toServiceSpec(
      EnsureService.fromPartial({
        name: 's',
        image: 'i:1',
        mounts: [{ type: 'volume', source: 'v', target: '/v', driver: 'local', driverOptions: { o: `addr=1,password=${secret}` } }],
        logging: { driver: 'splunk', options: { 'splunk-token': secret } },
      }),
    )
  const found = differences(canonicalService(specOf('hunter1'), new Map()), canonicalService(specOf('hunter2'), new Map()))
  assert.deepEqual(
    found.map(({ field }) => field),
    ['mounts', 'logging'],
  )
  assert.doesNotMatch(JSON.stringify(found), /hunter/)
})

test('options of volumes, mounts and log drivers are not logged', () => {
  const volume = EnsureVolume.fromPartial({ name: 'v', options: { o: 'password=hunter2' } })
  const service = EnsureService.fromPartial({ mounts: [{ driverOptions: { o: 'password=hunter2' } }], logging: { options: { token: 'hunter2' } } })
  for (const [type, message] of [
    ['hive.v1.EnsureVolume', volume],
    ['hive.v1.EnsureService', service],
  ] as const)
    assert.doesNotMatch(JSON.stringify(redact(type, message)), /hunter/)
})
