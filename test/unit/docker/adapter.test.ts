import assert from 'node:assert/strict'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { beforeEach, suite, test } from 'node:test'
import { parseReference, pullImage, resolveDigest } from '../../../agent/adapters/docker/images.ts'
import { recentNetworks } from '../../../agent/adapters/docker/recent.ts'
import { dockerDelete, dockerGet, dockerPost, useDockerSocket } from '../../../agent/adapters/docker.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { HiveError } from '../../../proto/errors.ts'
import { answerAsDocker } from '../../support/docker-socket.ts'

const asked: { line: string; auth: string | undefined }[] = []
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => undefined

const listener: RequestListener = (request, response) => {
  asked.push({ line: `${request.method} ${request.url}`, auth: request.headers['x-registry-auth'] as string | undefined })
  answer(request, response)
}
/** Of what was asked, what begins so: agents of other tests in this process may ask for something else, and a request that was given up may come late. */
const askedFor = (start: string) => asked.filter(({ line }) => line.startsWith(start))
const json =
  (status: number, body: unknown) =>
  (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
const failure = (code: string, message: RegExp) => (error: unknown) => error instanceof HiveError && error.code === code && message.test(error.message)

suite('docker over its socket', () => {
  const socket = answerAsDocker(listener)
  beforeEach(() => {
    asked.length = 0
  })

  test('a plan can ask, and cannot change anything', async () => {
    answer = json(200, { ok: true })
    assert.deepEqual(await readOnly(() => dockerGet('/version')), { ok: true })
    await assert.rejects(() => readOnly(() => dockerPost('/swarm/init')), /read-only operation tried to ask docker to POST/)
    assert.deepEqual([askedFor('GET /version').length, askedFor('POST').length], [1, 0])
  })

  test('a name can neither lead elsewhere nor bring a query along', async () => {
    answer = json(200, {})
    for (const name of ['../containers/web', '%2e./containers/web', 'a?force=1', 'a#b', 'a b', '..', 'a%'])
      await assert.rejects(() => writable(() => dockerDelete(`/images/${name}`)), failure('invalid-input', /nothing of the name/))
    assert.deepEqual(askedFor('DELETE'), [])
    await writable(() => dockerDelete('/images/host:5000/a/b.c:1@sha256:ab'))
    await dockerGet(`/volumes/${encodeURIComponent('a b..c')}`)
    assert.deepEqual([askedFor('DELETE').length, askedFor('GET /volumes/').length], [1, 1])
  })

  test('what docker says is the error', async () => {
    answer = json(404, { message: 'No such image: a:1' })
    await assert.rejects(() => dockerGet('/images/a:1/json'), failure('not-found', /^docker: No such image: a:1$/))
    answer = json(409, { message: 'in use' })
    await assert.rejects(() => writable(() => dockerPost('/networks/create')), failure('conflict', /in use/))
  })

  test('a question during an election is asked again until there is a leader', async () => {
    const noLeader = json(503, { message: "The swarm does not have a leader. It's possible that too few managers are online." })
    const questions = (): number => askedFor('GET /services/a').length
    answer = (request, response) => (questions() < 2 ? noLeader : json(200, [{ ID: 'a' }]))(request, response)
    assert.deepEqual(await dockerGet('/services/a'), [{ ID: 'a' }])
    assert.equal(questions(), 2)
  })

  test('a docker that does not run is told as such', async () => {
    useDockerSocket(`${socket}.nobody`)
    await assert.rejects(() => dockerGet('/info'), failure('unreachable', /docker is not running yet/))
  })

  test('a docker that does not answer is given up, and a caller that leaves is let go', async () => {
    answer = () => undefined
    await assert.rejects(() => dockerGet('/info', { timeout: 20 }), failure('timeout', /no answer to GET \/info/))
    await assert.rejects(() => dockerGet('/info', { signal: AbortSignal.timeout(20) }), failure('cancelled', /stopped/))
  })

  test('a pull that fails in its last line fails, although docker answered 200', async () => {
    answer = (_request, response) =>
      response.writeHead(200).end('{"status":"Pulling"}\r\n{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}\r\n')
    const auth = { server: 'host:5000', user: 'hive', password: 'secret' }
    const pull = () => writable(() => pullImage(parseReference('host:5000/a:1'), { auth, signal: AbortSignal.timeout(5000) }))
    await assert.rejects(pull, failure('command-failed', /^pulling host:5000\/a:1: manifest unknown$/))
    const [pulled] = askedFor('POST')
    assert.equal(pulled?.line, 'POST /images/create?fromImage=host%3A5000%2Fa&tag=1')
    assert.deepEqual(JSON.parse(Buffer.from(pulled?.auth ?? '', 'base64url').toString()), {
      username: 'hive',
      password: 'secret',
      serveraddress: 'host:5000',
    })
  })

  test('a registry that does not have a reference is no error', async () => {
    answer = json(404, { message: 'manifest unknown: manifest unknown' })
    assert.equal(await resolveDigest('host:5000/a:1', undefined), '')
  })

  test('checks of one plan share a list, and a change makes it be asked for again', async () => {
    answer = json(200, [])
    await Promise.all(Array.from({ length: 50 }, () => recentNetworks()))
    assert.equal(askedFor('GET /networks').length, 1)
    await writable(() => dockerPost('/networks/create'))
    await recentNetworks()
    assert.deepEqual([askedFor('GET /networks').length, askedFor('POST /networks').length], [2, 1])
  })
})
