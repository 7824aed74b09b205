/** Zabbix' messages, and the answers to passive checks. */
import assert from 'node:assert/strict'
import { connect, createServer, type Server } from 'node:net'
import { describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { deflateSync } from 'node:zlib'
import type { MonitoringConfiguration } from '../../../agent/watchers/reporter/configuration.ts'
import { keysOf, PassiveListener, questionOf } from '../../../agent/watchers/reporter/passive.ts'
import { answerKey, parseKey } from '../../../agent/watchers/reporter/passive-keys.ts'
import { asText, clockWork, keyOf } from '../../../agent/watchers/reporter/value.ts'
import { decodeFrame, encodeFrame } from '../../../agent/watchers/reporter/zabbix-frame.ts'
import { type Encryption, parseReceipt, sendValues } from '../../../agent/watchers/reporter/zabbix-sender.ts'
import { HiveError } from '../../../proto/errors.ts'

const nobody = new AbortController().signal
const code = (wanted: string) => (error: unknown) => error instanceof HiveError && error.code === wanted

function compressed(text: string): Buffer {
  const body = deflateSync(text)
  const head = Buffer.from('ZBXD\x03........', 'latin1')
  head.writeUInt32LE(body.length, 5)
  head.writeUInt32LE(Buffer.byteLength(text), 9)
  return Buffer.concat([head, body])
}

describe('messages of Zabbix', () => {
  test('as they are written down: ZBXD, 1, the length, zeros', () =>
    assert.equal(encodeFrame('agent.ping').toString('hex'), '5a425844010a000000000000006167656e742e70696e67'))
  test('a message comes in pieces', () => {
    const bytes = encodeFrame('{"response":"success"}')
    for (let length = 0; length < bytes.length; length++) assert.equal(decodeFrame(bytes.subarray(0, length)), undefined)
    assert.equal(decodeFrame(bytes), '{"response":"success"}')
  })
  test('compressed ones, and large ones', () => {
    assert.equal(decodeFrame(compressed('x'.repeat(5000))), 'x'.repeat(5000))
    const large = Buffer.from('ZBXD\x05................ab', 'latin1')
    large.writeBigUInt64LE(2n, 5)
    large.writeBigUInt64LE(0n, 13)
    assert.equal(decodeFrame(large), 'ab')
  })
  test('what is none is refused', () => {
    assert.throws(() => decodeFrame(Buffer.from('HTTP/1.1 400')), code('invalid-input'))
    assert.throws(() => decodeFrame(Buffer.from('ZBXD\x21')), code('invalid-input'))
    const huge = encodeFrame('x')
    huge.writeUInt32LE(0xffffffff, 5)
    assert.throws(() => decodeFrame(huge), code('invalid-input'))
    const bomb = compressed('y'.repeat(100_000))
    bomb.writeUInt32LE(10, 9)
    assert.throws(() => decodeFrame(bomb), code('invalid-input'))
  })
  test('how many values were taken', () => {
    assert.deepEqual(parseReceipt('{"response":"success","info":"processed: 2; failed: 1; total: 3; seconds spent: 0.000052"}'), { processed: 2, failed: 1 })
    assert.throws(() => parseReceipt('{"response":"failed","info":"cannot parse"}'), /cannot parse/)
    assert.throws(() => parseReceipt('nothing'), code('command-failed'))
  })
})

describe('values', () => {
  test('numbers as Zabbix takes them', () =>
    assert.deepEqual(
      [asText(1e21), asText(12.5), asText(1 / 3), asText(123_456_789_012), asText(Number.NaN), asText(0)],
      ['1000000000000000000000', '12.5', '0.3333', '123456789012', '0', '0'],
    ))
  test('times grow, within one millisecond too', () => {
    const stamp = clockWork(() => 1_700_000_000_123)
    assert.deepEqual(
      [stamp(), stamp()],
      [
        { clock: 1_700_000_000, ns: 123_000_000 },
        { clock: 1_700_000_000, ns: 123_000_001 },
      ],
    )
  })
  test('parameters of keys', () => {
    assert.equal(keyOf('a', 'b', '/c d'), 'a[b,/c d]')
    assert.equal(keyOf('a', 'b,c', 'x]', 'q"'), 'a["b,c","x]",q"]')
    assert.deepEqual(parseKey('a[b,"c, d",e f]'), { name: 'a', parameters: ['b', 'c, d', 'e f'] })
    assert.deepEqual(parseKey('agent.ping'), { name: 'agent.ping', parameters: [] })
    assert.equal(parseKey('no key at all!'), undefined)
  })
})

describe('sending', () => {
  test('nobody there', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    await assert.rejects(
      sendValues({ address: '127.0.0.1', port, encryption: { kind: 'none' } }, [{ host: 'h', key: 'k', value: '1' }], nobody),
      code('unreachable'),
    )
  })
  test('a server that closes without an answer, and one that answers compressed', async () => {
    let answer: Uint8Array = Buffer.alloc(0)
    const server = createServer((socket) => {
      socket.on('data', () => socket.end(answer))
      socket.on('error', () => undefined)
    })
    const port = await listen(server)
    const send = () => sendValues({ address: '127.0.0.1', port, encryption: { kind: 'none' } }, [{ host: 'h', key: 'k', value: '1' }], nobody)
    try {
      await assert.rejects(send(), code('unreachable'))
      answer = compressed('{"response":"success","info":"processed: 1; failed: 0; total: 1; seconds spent: 0.1"}')
      assert.deepEqual(await send(), { processed: 1, failed: 0 })
    } finally {
      server.close()
    }
  })
})

const configuration: MonitoringConfiguration = {
  server: '127.0.0.1',
  port: 10051,
  encryption: { kind: 'none' },
  host: 's-hive0.pdns',
  swarmHost: 's-swarm.pdns',
  interval: 60,
  repository: false,
  registryPort: 0,
  ignoredUnits: [],
  certificates: {},
  passive: undefined,
}
const latest = new Map([
  ['s-hive0.pdns\nhive.drbd.discovery', '[{"{#RESOURCE}":"data2"}]'],
  ['s-hive0.pdns\nhive.drbd.disk[data2]', 'UpToDate'],
  ['s-swarm.pdns\nhive.task.cpu[web,1]', '10'],
  ['s-swarm.pdns\nhive.task.cpu[web,2]', '30'],
  ['s-swarm.pdns\nhive.volume.pused[web,1,/data]', '12.5'],
])

describe('passive checks', () => {
  const ask = (key: string) => answerKey(key, { configuration, suffix: 'pdns', version: '1.2.3', latest, now: 0 })

  test('keys of zabbix-agent and of hive-builder', async () => {
    assert.deepEqual(
      await Promise.all(
        [
          'agent.ping',
          'agent.version',
          'agent.hostname',
          'user.discovery.drbd-resource',
          'drbd-resource[data2]',
          'docker.swarm.service.cpu.pdns[web]',
          'docker-volume.pdns[web,/data]',
          'docker.swarm.service.cpu.other[web]',
          'system.run[reboot]',
        ].map(ask),
      ),
      ['1', '1.2.3', 's-hive0.pdns', '[{"{#RESOURCE_NAME}":"data2"}]', 'UpToDate', '20', '12.5', undefined, undefined],
    )
  })

  test('questions of 6.0, of 7.0, and of a person with netcat', () => {
    assert.equal(questionOf(encodeFrame('agent.ping')), 'agent.ping')
    assert.equal(questionOf(Buffer.from('agent.ping\n')), 'agent.ping')
    assert.equal(questionOf(Buffer.from('agent.pi')), undefined)
    assert.deepEqual(keysOf('{"request":"passive checks","data":[{"key":"agent.ping","timeout":"3s"}]}'), ['agent.ping'])
    assert.equal(keysOf('agent.ping'), undefined)
  })

  const withListener = async (allowed: readonly string[], encryption: Encryption, work: (port: number) => Promise<void>): Promise<void> => {
    const listener = new PassiveListener({
      configuration,
      passive: { port: 0, allowed, suffix: 'pdns' },
      encryption,
      version: '1.2.3',
      latest,
      now: Date.now,
      listen: '127.0.0.1',
    })
    const port = await listener.start()
    try {
      await work(port)
    } finally {
      await listener.stop()
    }
  }

  test('6.0 and 7.0 are answered', () =>
    withListener(['127.0.0.0/8'], { kind: 'none' }, async (port) => {
      assert.equal(decodeFrame(await question(port, encodeFrame('agent.ping'))), '1')
      assert.equal(decodeFrame(await question(port, encodeFrame('no.such.key'))), 'ZBX_NOTSUPPORTED\0Unsupported item key.')
      const seven = '{"request":"passive checks","data":[{"key":"agent.version","timeout":"3s"},{"key":"no.such.key","timeout":"3s"}]}'
      assert.deepEqual(JSON.parse(String(decodeFrame(await question(port, encodeFrame(seven))))), {
        version: '7.0.0',
        variant: 2,
        data: [{ value: '1.2.3' }, { error: 'Unsupported item key.' }],
      })
    }))

  test('nobody else is', () =>
    withListener(['192.0.2.1'], { kind: 'none' }, async (port) => {
      assert.equal((await question(port, encodeFrame('agent.ping'))).length, 0)
    }))

  test('with the shared key', () => {
    const psk = { kind: 'psk', identity: 'me', key: '00112233445566778899aabbccddeeff' } as const
    return withListener(['127.0.0.1'], psk, async (port) => {
      const over = (key: string): Promise<Buffer> =>
        new Promise((resolve) => {
          const chunks: Buffer[] = []
          const socket = connectTls(
            {
              host: '127.0.0.1',
              port,
              ciphers: 'PSK',
              minVersion: 'TLSv1.2',
              maxVersion: 'TLSv1.2',
              checkServerIdentity: () => undefined,
              pskCallback: () => ({ identity: 'me', psk: Buffer.from(key, 'hex') }),
            },
            () => socket.write(encodeFrame('agent.ping')),
          )
          socket.on('data', (chunk: Buffer) => chunks.push(chunk))
          socket.on('error', () => undefined)
          socket.on('close', () => resolve(Buffer.concat(chunks)))
        })
      assert.equal(decodeFrame(await over(psk.key)), '1')
      assert.equal((await over('ff'.repeat(16))).length, 0)
    })
  })
})

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as { readonly port: number }).port)))

/** All that comes until the other side closes. */
const question = (port: number, bytes: Buffer): Promise<Buffer> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Buffer.concat(chunks)))
  })
