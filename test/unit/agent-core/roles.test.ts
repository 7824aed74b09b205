import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcNames } from '../../../proto/descriptors.ts'
import { HiveError } from '../../../proto/errors.ts'
import { redact } from '../../../proto/redact.ts'
import { refusal, roleOf, rules } from '../../../proto/roles.ts'
import { fromServiceError, toServiceError } from '../../../proto/status.ts'

test('every RPC has a role rule and every rule an RPC', () => {
  assert.deepEqual(Object.keys(rules).sort(), rpcNames().sort())
})

test('the stronger role may what the weaker may, and a refusal names both', () => {
  assert.equal(refusal('hive.v1.StepService/StartRun', { name: 'a', role: 'hive:admin' }), undefined)
  assert.equal(refusal('hive.v1.HostService/InstallCertificate', { name: 'a', role: 'hive:operator' })?.includes('hive:admin'), true)
  assert.match(refusal('hive.v1.StepService/Plan', { name: 'eve', role: undefined }) ?? '', /needs the role hive:operator; the certificate of eve has none/)
  assert.equal(roleOf(['hive:reader', 'hive:admin']), 'hive:admin')
})

test('hosts may ask each other for health, info, what services run and dumps only, and not for a restore to be allowed', () => {
  const allowed = rpcNames().filter((rpc) => refusal(rpc, { name: 'h', role: 'hive:agent' }) === undefined)
  assert.deepEqual(allowed.sort(), [
    'grpc.health.v1.Health/Check',
    'grpc.health.v1.Health/Watch',
    'hive.v1.BackupService/Dump',
    'hive.v1.BackupService/Load',
    'hive.v1.BackupService/Offers',
    'hive.v1.BackupService/Rehearse',
    'hive.v1.HostService/Info',
    'hive.v1.ServiceService/List',
  ])
})

test('secrets are left out of what is logged, in oneofs, maps and secret files too', () => {
  const step = {
    id: 's',
    host: '',
    title: '',
    disruption: 0,
    needs: [],
    timeoutSeconds: 0,
    spec: {
      kind: {
        $case: 'ensureFiles',
        value: { files: [{ path: '/a', content: Buffer.from('hidden'), mode: 0, owner: '', group: '', secret: true, absent: false }] },
      },
    },
  }
  const registry = { port: 5000, user: 'hive', password: 'hidden', certificatePath: '', keyPath: '', image: '' }
  const text = JSON.stringify([
    redact('hive.v1.Step', step),
    redact('hive.v1.EnsureRegistry', registry),
    redact('hive.v1.BuildImage', { environment: { A: 'hidden' } }),
  ])
  assert.doesNotMatch(text, /hidden/)
  assert.match(text, /"user":"hive"/)
})

test('an error arrives as it was thrown', () => {
  const sent = new HiveError('not-converged', 'no task runs', { hint: 'look', stepId: 's', log: ['one', 'two'] })
  const { code, message, hint, stepId, log } = fromServiceError(toServiceError(sent))
  assert.deepEqual({ code, message, hint, stepId, log }, { code: 'not-converged', message: 'no task runs', hint: 'look', stepId: 's', log: ['one', 'two'] })
})
