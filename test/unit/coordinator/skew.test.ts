import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SiteAgents } from '../../../coordinator/client/site-agents.ts'
import { needsTogether } from '../../../coordinator/client/skew.ts'
import { rpcNames } from '../../../proto/descriptors.ts'
import { HiveError } from '../../../proto/errors.ts'
import { rules } from '../../../proto/roles.ts'
import { startLab, thing } from './support/lab.ts'

test('agents one minor version apart do their work; farther apart they are looked at, and told of once, and nothing is changed', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'h2'], ['0.3.5', '0.4.0', '0.1.0'])
  const told: string[] = []
  const agents = new SiteAgents({
    hosts: lab.site.hosts,
    credentials: () => lab.pki.adminCredentials(),
    enrolled: () => true,
    version: '0.2.0',
    apart: ({ message }) => told.push(message),
  })
  t.after(() => agents.close())
  const plans = await Promise.all(
    lab.site.hosts.map(async ({ name }) => {
      const client = await agents.client(name)
      return client.step.plan({ steps: [thing('x', name)] }).then(
        () => 'planned',
        (error: unknown) => (error instanceof HiveError ? error : Promise.reject(error)),
      )
    }),
  )
  assert.equal(plans[0], 'planned')
  assert.equal(plans[2], 'planned')
  const refused = plans[1]
  assert.ok(refused instanceof HiveError && refused.code === 'conflict' && refused.host === 'h1')
  assert.match(refused.message, /h1 runs agent 0\.4\.0, and this hivecoord is 0\.2\.0/)
  assert.match(refused.hint ?? '', /hivecoord 0\.4\.0; or hivecoord agent upgrade --allow-downgrade/)

  const far = await agents.client('h1')
  await assert.rejects(far.repair.apply(thing('x', 'h1')), refused)
  // Looking, the lock and the end of a run are left, so that it can be brought nearer.
  assert.equal((await far.step.listRuns({ activeOnly: true, limit: 0 })).runs.length, 0)
  assert.equal((await far.lock.acquire({ owner: 'o', purpose: 'p', ttlSeconds: 5, takesOver: [] })).granted, true)
  await agents.reach('h1')
  agents.forget('h1')
  await agents.reach('h1')
  assert.equal(told.length, 1)
})

test('every call that changes a host depends on both meaning the same, but for the lock and cancelling', () => {
  const free = rpcNames().filter((name) => rules[name]?.mutates === true && !needsTogether(`/${name}`))
  assert.deepEqual(free.sort(), ['hive.v1.LockService/Acquire', 'hive.v1.LockService/Release', 'hive.v1.StepService/CancelRun'])
})

test('a step of a kind that the agent does not know is blocked by it, with what to do', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const { plans } = await client.step.plan({ steps: [{ ...thing('x', 'h0'), spec: { kind: undefined } }, thing('y', 'h0')] })
  const [unknown, known] = plans
  assert.equal(unknown?.outcome?.$case, 'blocked')
  assert.match(
    unknown?.outcome?.$case === 'blocked' ? `${unknown.outcome.value.reason} ${unknown.outcome.value.hint}` : '',
    /does not know what the step asks for.*agent upgrade/,
  )
  assert.equal(known?.outcome?.$case, 'change')
})
