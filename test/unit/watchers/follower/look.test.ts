/** What docker's API answers, as the follower reads it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { beforeEach, describe, it } from 'node:test'
import { managersInReach, readSwarm } from '../../../../agent/watchers/follower/look.ts'
import { answerAsDocker } from '../../../support/docker-socket.ts'

type Answer = unknown | { readonly status: number; readonly message: string }

const labelled = {
  ID: 's1',
  CreatedAt: '2024-01-01T00:00:00Z',
  Version: { Index: 1 },
  Spec: { Name: 'web', Labels: { HIVE_VIP: '10.0.0.50', HIVE_STANDALONE: 'False' }, TaskTemplate: {} },
}
const plain = { ...labelled, ID: 's2', Spec: { Name: 'plain', Labels: { HIVE_STANDALONE: 'False' }, TaskTemplate: {} } }
const node = (id: string, state: string, given: object = {}) => ({
  ID: id,
  Version: { Index: 1 },
  Spec: { Role: 'manager', Availability: 'active', Labels: null },
  Description: { Hostname: `host-${id}` },
  Status: { State: state },
  ...given,
})
const task = (id: string, desired: string, state: string, given: object = {}) => ({
  ID: id,
  CreatedAt: '2024-01-01T00:00:00Z',
  ServiceID: 's1',
  NodeID: 'n1',
  Slot: 1,
  DesiredState: desired,
  Spec: {},
  Status: { Timestamp: '2024-01-01T00:00:00Z', State: state, ContainerStatus: { ContainerID: `c-${id}` } },
  ...given,
})

describe('the follower looks at docker', () => {
  let answers: Record<string, Answer> = {}
  let asked: URL[] = []
  answerAsDocker((request, response) => {
    const url = new URL(request.url ?? '', 'http://docker')
    asked.push(url)
    const answer = answers[url.pathname] as { readonly status?: number; readonly message?: string } | undefined
    response.writeHead(answer === undefined ? 404 : (answer.status ?? 200), { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { message: 'no such thing' }))
  })
  beforeEach(() => {
    asked = []
    answers = {
      '/info': { Name: 'host-n1', ServerVersion: '26', Swarm: { NodeID: 'n1', LocalNodeState: 'active', ControlAvailable: true } },
      '/services': [labelled, plain],
      '/nodes': [node('n1', 'ready', { ManagerStatus: { Leader: true } }), node('n2', 'down'), node('n3', 'unknown')],
      '/tasks': [
        task('t1', 'running', 'running'),
        task('t2', 'ready', 'ready', { Status: { Timestamp: '', State: 'ready' } }),
        task('t3', 'shutdown', 'shutdown'),
      ],
    }
  })
  const { signal } = new AbortController()

  it('asks for the tasks of those services alone that ask something of hosts', async () => {
    const answer = await readSwarm(signal)
    assert.ok(answer.kind === 'sight')
    const { sight } = answer
    assert.deepEqual([sight.nodeId, sight.leads, sight.services.map(({ name }) => name)], ['n1', true, ['web']])
    assert.deepEqual(
      sight.nodes.map(({ id, dead }) => [id, dead]),
      [
        ['n1', false],
        ['n2', true],
        ['n3', false],
      ],
    )
    assert.deepEqual(
      sight.tasks.map(({ id, desired, runs, containerId }) => [id, desired, runs, containerId]),
      [
        ['t1', 'running', true, 'c-t1'],
        ['t2', 'ready', false, ''],
      ],
    )
    const filters = asked.find(({ pathname }) => pathname === '/tasks')?.searchParams.get('filters')
    assert.deepEqual(JSON.parse(filters ?? ''), { service: ['s1'], 'desired-state': ['running', 'ready'] })
  })

  it('asks for no tasks where no service does', async () => {
    answers['/services'] = [plain]
    const answer = await readSwarm(signal)
    assert.ok(answer.kind === 'sight' && answer.sight.tasks.length === 0)
    assert.ok(asked.every(({ pathname }) => pathname !== '/tasks'))
  })

  it('follows nothing on workers and outside a swarm, and knows nothing without a leader', async () => {
    answers['/info'] = { Swarm: { LocalNodeState: 'active', ControlAvailable: false } }
    assert.deepEqual(await readSwarm(signal), { kind: 'none' })
    answers['/info'] = { Swarm: { LocalNodeState: 'inactive', ControlAvailable: false } }
    assert.deepEqual(await readSwarm(signal), { kind: 'none' })
    answers['/info'] = { Swarm: { NodeID: 'n1', LocalNodeState: 'active', ControlAvailable: true } }
    answers['/services'] = { status: 503, message: 'rpc error: code = Unknown desc = The swarm does not have a leader.' }
    await assert.rejects(readSwarm(signal), /does not have a leader/)
  })

  it('counts the managers that take connections', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const open = (server.address() as { port: number }).port
    const gone = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => gone.once('listening', resolve))
    const closed = (gone.address() as { port: number }).port
    await new Promise((resolve) => gone.close(resolve))
    const remote = (NodeID: string, port: number) => ({ NodeID, Addr: `127.0.0.1:${port}` })
    answers['/info'] = {
      Swarm: {
        NodeID: 'n1',
        LocalNodeState: 'active',
        ControlAvailable: true,
        RemoteManagers: [remote('n1', closed), remote('n2', open), remote('n3', closed)],
      },
    }
    try {
      assert.deepEqual(await managersInReach(signal), { inReach: 2, managers: 3 })
    } finally {
      server.close()
    }
  })
})
