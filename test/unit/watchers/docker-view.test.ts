import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { beforeEach, suite, test } from 'node:test'
import { useDockerSocket } from '../../../agent/adapters/docker.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { carryOut } from '../../../agent/watchers/failover/carry-out.ts'
import { readDocker, readSwarm } from '../../../agent/watchers/failover/docker-view.ts'
import type { Picture } from '../../../agent/watchers/failover/picture.ts'
import { findings } from '../../../agent/watchers/failover/signatures.ts'
import { answerAsDocker } from '../../support/docker-socket.ts'
import { containerOf, dockerFolder, dockerOf, mountOf, volumeOf } from './pictures.ts'

const asked: string[] = []
/** By method and path: the status and the body; what is not named is a 404. */
let answers: Readonly<Record<string, readonly [number, unknown]>> = {}
const listener: RequestListener = (request, response) => {
  const line = `${request.method} ${(request.url ?? '').split('?')[0]}`
  asked.push(line)
  const [status, body] = answers[line] ?? [404, { message: 'not here' }]
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
const { signal } = new AbortController()

const info = (swarm: object) => ({
  'GET /info': [200, { Name: 'hive0', ServerVersion: '27.0', Swarm: { NodeID: 'self', LocalNodeState: 'active', ControlAvailable: true, ...swarm } }] as const,
})
const noLeader = [
  503,
  { message: "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online." },
] as const

suite("docker's part of the picture", () => {
  const socket = answerAsDocker(listener)
  beforeEach(() => {
    asked.length = 0
  })

  test('has containers with what they mount, and volumes with their device', async () => {
    answers = {
      'GET /containers/json': [
        200,
        [
          {
            Id: 'c1',
            Names: ['/app.1.x'],
            Image: 'app',
            State: 'running',
            Status: 'Up',
            Created: 1_700_000_000,
            Mounts: [
              { Type: 'volume', Name: 'data', Source: '/var/lib/docker/volumes/data/_data', Destination: '/data' },
              { Type: 'bind', Source: '/etc/app', Destination: '/etc/app' },
            ],
          },
          { Id: 'c2', Names: [], Image: 'x', State: 'exited', Status: '', Created: 1, Mounts: null },
        ],
      ],
      'GET /volumes': [
        200,
        { Volumes: [{ Name: 'data', Driver: 'local', Mountpoint: '/var/lib/docker/volumes/data/_data', Options: { type: 'ext4', device: '/dev/drbd1' } }] },
      ],
    }
    const view = await readOnly(() => readDocker(signal))
    assert.deepEqual(view?.containers, [
      {
        id: 'c1',
        name: 'app.1.x',
        state: 'running',
        created: 1_700_000_000_000,
        volumes: ['data'],
        folders: ['/var/lib/docker/volumes/data/_data', '/etc/app'],
      },
      { id: 'c2', name: '', state: 'exited', created: 1000, volumes: [], folders: [] },
    ])
    assert.deepEqual([...(view?.volumes ?? [])], [['data', { folder: '/var/lib/docker/volumes/data/_data', device: '/dev/drbd1' }]])
  })

  test('has what swarm wants of services with volumes', async () => {
    const mounts = [{ Type: 'volume', Source: 'data', Target: '/data' }]
    answers = {
      ...info({}),
      'GET /services': [200, [{ ID: 's1', Spec: { Name: 'app' } }]],
      'GET /nodes': [200, [{ ID: 'other', Description: { Hostname: 'hive1' } }]],
      'GET /tasks': [
        200,
        [
          {
            ID: 't1',
            ServiceID: 's1',
            NodeID: 'other',
            DesiredState: 'running',
            Status: { Timestamp: '2026-11-26T03:00:00Z', State: 'preparing' },
            Spec: { ContainerSpec: { Mounts: mounts } },
          },
          {
            ID: 't2',
            ServiceID: 's1',
            DesiredState: 'shutdown',
            Status: { Timestamp: '2026-11-26T03:00:00Z', State: 'rejected', Err: 'why' },
            Spec: { ContainerSpec: { Mounts: mounts } },
          },
          { ID: 't3', ServiceID: 's1', NodeID: 'other', DesiredState: 'running', Status: { Timestamp: '2026-11-26T03:00:00Z', State: 'running' }, Spec: {} },
        ],
      ],
    }
    const at = Date.parse('2026-11-26T03:00:00Z')
    assert.deepEqual(await readSwarm(signal), {
      kind: 'majority',
      nodeId: 'self',
      tasks: [
        { service: 'app', volumes: ['data'], nodeId: 'other', nodeName: 'hive1', wanted: true, state: 'preparing', error: '', at },
        { service: 'app', volumes: ['data'], nodeId: '', nodeName: '', wanted: false, state: 'rejected', error: 'why', at },
      ],
    })
  })

  test('calls the majority lost only where docker does, at once', async () => {
    answers = { ...info({}), 'GET /services': noLeader, 'GET /nodes': noLeader, 'GET /tasks': noLeader }
    assert.equal((await readSwarm(signal)).kind, 'no-majority')
    assert.equal(asked.filter((line) => line === 'GET /services').length, 1, 'an election is not waited for')
    answers = { ...info({}), 'GET /services': [500, { message: 'disk full' }], 'GET /nodes': [200, []], 'GET /tasks': [200, []] }
    assert.equal((await readSwarm(signal)).kind, 'unknown')
  })

  test('knows nothing of the swarm on a worker, outside of a swarm, and where docker does not answer', async () => {
    for (const swarm of [{ ControlAvailable: false }, { LocalNodeState: 'inactive', ControlAvailable: false }, { LocalNodeState: 'error' }]) {
      answers = info(swarm)
      assert.deepEqual(await readSwarm(signal), { kind: 'unknown' })
    }
    useDockerSocket(`${socket}.nobody`)
    assert.deepEqual(await readSwarm(signal), { kind: 'unknown' })
    assert.equal(await readDocker(signal), undefined)
  })

  test('containers that do not stop are killed, and no other is touched', async () => {
    answers = { 'POST /containers/data-running/stop': [500, { message: 'did not stop' }], 'POST /containers/data-running/kill': [204, {}] }
    const noMajority = { kind: 'no-majority', said: 'no leader' } as const
    const lost = volumeOf('data', { role: 'Primary', quorum: false }, { mounts: [mountOf(dockerFolder('data'))], holders: undefined })
    const pictures: Picture[] = [
      { volumes: [lost], docker: dockerOf([containerOf('data'), containerOf('other')], noMajority) },
      { volumes: [lost], docker: dockerOf([containerOf('data', 'exited'), containerOf('other')], noMajority) },
    ]
    const [finding] = findings(pictures[0] ?? { volumes: [], docker: undefined }, 0)
    assert.ok(finding !== undefined)
    const look = async (): Promise<Picture> => (pictures.length > 1 ? pictures.shift() : pictures[0]) ?? { volumes: [], docker: undefined }
    const result = await writable(() => carryOut(finding, { look, signal, now: () => 0 }))
    assert.equal(result.kind, 'helped')
    assert.deepEqual(asked, ['POST /containers/data-running/stop', 'POST /containers/data-running/kill'])
  })

  test('what is over by itself is not acted upon', async () => {
    const [finding] = findings({ volumes: [volumeOf('data', { role: 'Primary' })], docker: undefined }, 0)
    assert.ok(finding !== undefined)
    const look = async (): Promise<Picture> => ({ volumes: [volumeOf('data')], docker: undefined })
    assert.equal((await writable(() => carryOut(finding, { look, signal, now: () => 0 }))).kind, 'gone')
  })
})
