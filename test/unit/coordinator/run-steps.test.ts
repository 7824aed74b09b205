import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type RunEvent, StepResult } from '#gen/hive/v1/run.ts'
import type { Step } from '#gen/hive/v1/step.ts'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { step } from '../../../coordinator/phases/phase.ts'
import { joinTokenBinder } from '../../../coordinator/run/bind-step.ts'
import { keyOf, runSteps } from '../../../coordinator/run/run-steps.ts'
import { HiveError } from '../../../proto/errors.ts'

const member = (host: string, init: boolean) =>
  step('setup-hosts', 'swarm', host, 'swarm', 'ensureSwarmMember', {
    advertiseAddress: '',
    init,
    role: 'manager',
    remoteAddresses: [],
    joinToken: '',
    dataPathPort: 0,
  })

/** A host that remembers what was asked of it and does it at once. `lose`: how many StartRun answers get lost. */
function host(name: string, lose = 0) {
  const started: { key: string; steps: Step[] }[] = []
  const uploaded: string[] = []
  const client = {
    host: name,
    blob: { has: async ({ sha256 }: { sha256: string[] }) => ({ present: sha256.filter((digest) => uploaded.includes(digest)) }) },
    uploadBlob: async ({ sha256 }: { sha256: string }) => {
      uploaded.push(sha256)
      return { existed: false }
    },
    swarm: { joinToken: async ({ role }: { role: string }) => ({ token: `${role}-token-of-${name}` }) },
    step: {
      startRun: async (request: { key: string; steps: Step[] }) => {
        started.push(request)
        if (started.length <= lose) throw new HiveError('unreachable', 'the answer was lost')
        return { runId: request.key, existed: false }
      },
      async *watchRun({ runId }: { runId: string }): AsyncGenerator<RunEvent> {
        const steps = started.find(({ key }) => key === runId)?.steps ?? []
        let seq = 0n
        for (const { id } of steps)
          yield {
            seq: ++seq,
            at: undefined,
            stepId: id,
            event: { $case: 'finished', value: { result: StepResult.CHANGED, milliseconds: 1n, error: undefined, reason: '' } },
          }
        yield { seq: ++seq, at: undefined, stepId: '', event: { $case: 'runFinished', value: { ok: true } } }
      },
    },
  }
  return { client, started, uploaded }
}

function run(steps: readonly Step[], hosts: ReturnType<typeof host>[], more: object = {}) {
  const byName = new Map(hosts.map((one) => [one.client.host, one.client]))
  const agents = {
    client: async (name: string) => byName.get(name),
    forget: () => undefined,
    reach: async (name: string) => ({ client: byName.get(name) }),
  } as never
  const events: HiveEvent[] = []
  const result = runSteps({
    phase: 'setup-hosts',
    steps,
    planned: steps.map(({ id, host: on, title }) => ({
      phase: 'setup-hosts',
      host: on,
      stepId: id,
      title,
      outcome: { kind: 'change', reason: '', before: '', after: '', disruption: 0 },
    })),
    unreachable: new Set(),
    blobs: new Map(),
    agents,
    bind: joinTokenBinder(steps, [], agents),
    deployId: 'd',
    owner: 'me@here',
    emit: (event) => events.push(event),
    signal: new AbortController().signal,
    patience: { unreachableFor: 200, firstRetry: 1, longestRetry: 5, silence: 1000 },
    ...more,
  })
  return { result, events }
}

test('the join token is asked from the host that made the swarm, and is only in what is sent', async () => {
  const [first, second] = [host('h0'), host('h1')]
  const steps = [member('h0', true), { ...member('h1', false), needs: ['setup-hosts/swarm@h0'] }]
  const { result, events } = run(steps, [first, second])
  assert.deepEqual(await result, { changed: 2, errors: [] })
  const sent = second.started[0]?.steps[0]?.spec?.kind
  assert.equal(sent?.$case === 'ensureSwarmMember' && sent.value.joinToken, 'manager-token-of-h0')
  assert.equal(steps[1]?.spec?.kind?.$case === 'ensureSwarmMember' && steps[1].spec.kind.value.joinToken, '')
  assert.ok(!JSON.stringify(events).includes('token'))
})

test('a start whose answer is lost is asked again with the same key', async () => {
  const flaky = host('h0', 2)
  assert.deepEqual(await run([member('h0', true)], [flaky]).result, { changed: 1, errors: [] })
  assert.equal(flaky.started.length, 3)
  assert.equal(new Set(flaky.started.map(({ key }) => key)).size, 1)
})

test('the key differs by deploy, steps and specs, and not by their order', () => {
  const [one, two] = [member('h0', true), member('h1', false)]
  assert.equal(keyOf('d', [one, two]), keyOf('d', [two, one]))
  assert.equal(new Set([keyOf('d', [one]), keyOf('e', [one]), keyOf('d', [one, two]), keyOf('d', [{ ...one, spec: two.spec }])]).size, 4)
})

test('a host that is lost fails its steps with one error, and what needs them is skipped', async () => {
  const [lost, other] = [host('h0', 1_000_000), host('h1')]
  const steps = [
    member('h0', true),
    step('setup-hosts', 'more', 'h0', 'more', 'ensureHostname', { name: 'x' }),
    { ...member('h1', false), needs: ['setup-hosts/swarm@h0'] },
  ]
  const { result, events } = run(steps, [lost, other])
  const { changed, errors } = await result
  assert.equal(changed, 0)
  assert.deepEqual(
    errors.map(({ code, host: on }) => [code, on]),
    [['unreachable', 'h0']],
  )
  assert.deepEqual(events.flatMap((event) => (event.code === 'step.finished' ? [[event.stepId, event.result]] : [])).sort(), [
    ['setup-hosts/more@h0', 'failed'],
    ['setup-hosts/swarm@h0', 'failed'],
    ['setup-hosts/swarm@h1', 'skipped'],
  ])
})

test('content is uploaded only where a step that changes refers to it, and not where it is', async () => {
  const sha256 = createHash('sha256').update('roles').digest('hex')
  const blob = { sha256, size: 5, open: async function* () {} }
  const steps = ['h0', 'h1'].map((on) =>
    step('setup-hosts', 'addon', on, 'addon', 'runRoles', {
      target: on,
      inContainer: false,
      roles: ['addon'],
      content: { blobSha256: sha256, size: 5n },
      contentKey: '',
      always: false,
    }),
  )
  const hosts = ['h0', 'h1', 'h2'].map((name) => host(name))
  hosts[1]?.uploaded.push(sha256)
  const blobs = new Map(['h0', 'h1', 'h2'].map((name) => [name, [blob]]))
  assert.equal((await run(steps, hosts, { blobs }).result).changed, 2)
  assert.deepEqual(
    hosts.map(({ uploaded }) => uploaded),
    [[sha256], [sha256], []],
  )
})
