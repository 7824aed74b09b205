import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { portProbe } from '../../../coordinator/drill/probe.ts'

const signal = new AbortController().signal

test('one address that answers will do, and none is none', async () => {
  const server = createServer((request, response) => response.writeHead(request.url === '/ok' ? 404 : 503).end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: published } = server.address() as AddressInfo
  const ports = [{ published: 53, protocol: 'udp' }, { published, protocol: 'tcp' }] // biome-ignore format: one line
  const addresses = ['127.0.0.1', '127.0.0.2']
  const ask = (path?: string): Promise<boolean> | undefined => portProbe(ports, addresses, path)?.ask(signal)
  try {
    assert.equal(await ask(), true)
    assert.equal(await ask('ok'), true)
    assert.equal(await ask('/broken'), false)
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  assert.equal(await ask(), false)
  assert.equal(await ask('/ok'), false)
})

test('a service without a TCP port has no probe, and no page', () => {
  assert.equal(portProbe([{ published: 53, protocol: 'udp' }], ['127.0.0.1'], undefined), undefined)
  assert.throws(() => portProbe([], ['127.0.0.1'], '/'), /no TCP port/)
})
