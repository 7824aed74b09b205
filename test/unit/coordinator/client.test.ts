import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { AgentClient } from '../../../coordinator/client/agent-client.ts'
import { callRpc } from '../../../coordinator/client/call.ts'
import { SiteAgents } from '../../../coordinator/client/site-agents.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { HiveError } from '../../../proto/errors.ts'
import { startLab, thing } from './support/lab.ts'
import { tempFolder } from './support/temp.ts'

const withCode = (code: string) => (error: unknown) => error instanceof HiveError && error.code === code

async function all(answers: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const answer of answers) found.push(answer)
  return found
}

test('an agent that is not the one asked for, or not of this stage, is unreachable', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const port = lab.running.get('repo')?.port ?? 0
  const misled = new AgentClient({ host: 'h0', address: '127.0.0.1', port }, await lab.pki.adminCredentials())
  t.after(() => misled.close())
  await assert.rejects(misled.connect(3000), withCode('unreachable'))
  const foreign = new StagePki({ contextDir: tempFolder(t), siteName: 'other' })
  const stranger = new AgentClient({ host: 'repo', address: '127.0.0.1', port }, await foreign.adminCredentials())
  t.after(() => stranger.close())
  await assert.rejects(stranger.connect(3000), withCode('unreachable'))
})

test('a role that is too low is denied, with the host in the error', async (t) => {
  const lab = await startLab(t, ['h0'])
  const reader = await lab.pki.issueClient({ name: 'someone', role: 'hive:reader' })
  const client = new AgentClient({ host: 'h0', address: '127.0.0.1', port: lab.running.get('h0')?.port ?? 0 }, reader)
  t.after(() => client.close())
  assert.equal((await client.connect(3000)).host, 'h0')
  await assert.rejects(
    client.step.startRun({ key: 'k', owner: '', deployId: '', steps: [thing('x', 'h0')] }),
    (error) => error instanceof HiveError && error.code === 'denied' && error.host === 'h0',
  )
})

test('nobody who has no agent yet is dialled, and nobody from outside the stage network', async () => {
  const host = { name: 'h0', address: '192.0.2.1', settings: { agentPort: 1 } } as never
  const credentials = () => Promise.reject(new Error('not asked for'))
  const bare = new SiteAgents({ hosts: [host], credentials, enrolled: () => false })
  const outside = new SiteAgents({ hosts: [host], credentials, enrolled: () => true, whyNotDial: () => 'outside' })
  for (const agents of [bare, outside]) {
    const reached = await agents.reach('h0')
    assert.equal('error' in reached && reached.error.code, 'unreachable')
  }
})

test('a host that gave no answer and is forgotten gets another connection, one that answered keeps its own', async (t) => {
  const lab = await startLab(t, ['h0', 'h1'])
  const before = [await lab.agents.client('h0'), await lab.agents.client('h1')]
  await lab.running.get('h1')?.stop()
  for (const host of ['h0', 'h1']) {
    await lab.agents.reach(host)
    lab.agents.forget(host)
  }
  await lab.restart('h1', '0.1.0')
  assert.ok('client' in (await lab.agents.reach('h1')))
  assert.equal(await lab.agents.client('h0'), before[0])
  assert.notEqual(await lab.agents.client('h1'), before[1])
})

test('a call ends at its deadline and at its signal, also before it is answered', async (t) => {
  const lab = await startLab(t, ['h0'])
  lab.script.gates.set('h0:slow', new Promise(() => undefined))
  const client = await lab.agents.client('h0')
  await assert.rejects(client.repair.apply(thing('slow', 'h0'), { deadline: 200 }), withCode('timeout'))
  const controller = new AbortController()
  const applying = client.repair.apply(thing('slow', 'h0'), { signal: controller.signal })
  setImmediate(() => controller.abort())
  await assert.rejects(applying, withCode('cancelled'))
  await assert.rejects(client.hostService.info({}, { signal: AbortSignal.abort() }), withCode('cancelled'))
})

test('a blob of several chunks arrives whole, and a wrong one is refused', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const content = Buffer.alloc(5 * 1024 * 1024 + 17, 'hive')
  const sha256 = createHash('sha256').update(content).digest('hex')
  const open = async function* () {
    yield content.subarray(0, 3_000_000)
    yield content.subarray(3_000_000)
  }
  let last = 0
  assert.deepEqual(await client.uploadBlob({ sha256, size: content.length, open }, { sent: (bytes) => (last = bytes) }), { existed: false })
  assert.equal(last, content.length)
  assert.deepEqual((await client.blob.has({ sha256: [sha256, '0'.repeat(64)] })).present, [sha256])
  assert.deepEqual(await client.uploadBlob({ sha256, size: content.length, open }), { existed: true })
  const wrong = { sha256: '1'.repeat(64), size: content.length, open }
  await assert.rejects(client.uploadBlob(wrong), withCode('invalid-input'))
})

test('an upload whose source fails is given up with that failure', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const open = async function* () {
    yield Buffer.alloc(1000)
    throw new HiveError('not-found', 'the archive is gone')
  }
  await assert.rejects(client.uploadBlob({ sha256: '2'.repeat(64), size: 5000, open }), /the archive is gone/)
})

test('a stream that falls silent counts as unreachable', async (t) => {
  const lab = await startLab(t, ['h0'])
  lab.script.gates.set('h0:slow', new Promise(() => undefined))
  const client = await lab.agents.client('h0')
  const { runId } = await client.step.startRun({ key: 'k', owner: 'me', deployId: 'd', steps: [thing('slow', 'h0')] })
  await assert.rejects(all(client.step.watchRun({ runId, from: 1n }, { silence: 300 })), withCode('unreachable'))
})

test('any RPC can be called by its name with JSON', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const [info] = (await all(callRpc({ client, method: 'HostService/Info', json: {} }))) as { host: string; started: string }[]
  assert.equal(info?.host, 'h0')
  assert.match(info.started, /^\d{4}-\d\d-\d\dT/)
  const events = (await all(
    callRpc({
      client,
      method: 'hive.v1.StepService/WatchRun',
      json: { runId: (await client.step.startRun({ key: 'k', owner: '', deployId: '', steps: [thing('x', 'h0')] })).runId },
    }),
  )) as { finished?: { result: string } }[]
  assert.equal(events.find(({ finished }) => finished !== undefined)?.finished?.result, 'STEP_RESULT_CHANGED')
  await assert.rejects(all(callRpc({ client, method: 'HostService/Infos', json: {} })), withCode('not-found'))
  await assert.rejects(all(callRpc({ client, method: 'HostService/ControlUnit', json: { nam: 'x' } })), withCode('invalid-input'))
})
