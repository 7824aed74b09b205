import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { before, suite, test } from 'node:test'
import { EnsureNetwork } from '#gen/hive/v1/steps_docker.ts'
import { dockerPost, useDockerSocket } from '../../../agent/adapters/docker.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { ensureNetwork } from '../../../agent/steps/ensure-network.ts'
import { answerAsDocker } from '../../support/docker-socket.ts'

const made = {
  Id: 'n1',
  Name: 'front',
  Scope: 'swarm',
  Driver: '',
  Attachable: true,
  Ingress: false,
  EnableIPv6: false,
  IPAM: { Driver: '', Config: null },
  Options: null,
}
const ready = { ...made, Driver: 'overlay', IPAM: { Driver: 'default', Config: [{ Subnet: '172.30.0.0/24', Gateway: '172.30.0.1' }] }, Options: {} }
let looks = 0

/** A swarm that gives a network its addresses only at the third look at it. */
const listener: RequestListener = (request, response) => {
  const path = request.url?.replace(/^\/v[\d.]+/, '').replace(/\?.*$/, '') ?? ''
  const answer: unknown =
    path === '/info' ? { Swarm: { LocalNodeState: 'active' } } : path === '/networks' ? [made] : path === '/networks/n1' ? (++looks < 3 ? made : ready) : {}
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}

suite('a network that has just been made', () => {
  const socket = answerAsDocker(listener)
  before(async () => {
    useDockerSocket(socket)
    // Whatever other tests had asked is forgotten.
    await writable(() => dockerPost('/anything'))
  })

  test('is compared once the swarm has given it its addresses', async () => {
    const spec = EnsureNetwork.fromPartial({ name: 'front', driver: 'overlay', attachable: true, ipam: [{ subnet: '172.30.0.0/24' }] })
    const context = {
      signal: AbortSignal.timeout(5_000),
      hostName: 'here',
      log: () => undefined,
      progress: () => undefined,
      blobPath: () => Promise.reject(new Error('no content')),
    }
    assert.deepEqual(await readOnly(async () => ensureNetwork.check(spec, context)), { kind: 'ok' })
    assert.equal(looks, 3)
  })
})
