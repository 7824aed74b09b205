import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { DatabaseConnection, Packets, packet, proofOf } from '../../chaos/database-connection.ts'

test('packets are found however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (contents, cuts) => {
        const stream = Buffer.concat(contents.map((content, index) => packet(index, Buffer.from(content))))
        const packets = new Packets()
        const found: Buffer[] = []
        for (let at = 0, cut = 0; at < stream.length; cut += 1) {
          const size = cuts[cut % cuts.length] ?? 1
          found.push(...packets.take(stream.subarray(at, at + size)).map(({ content }) => content))
          at += size
        }
        assert.deepEqual(
          found.map((content) => [...content]),
          contents.map((content) => [...content]),
        )
      },
    ),
  )
})

test('a password is proven as the server computes it: from its double digest and the proof', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.uint8Array({ minLength: 20, maxLength: 20 }), (password, random) => {
      const sha1 = (...parts: readonly (string | Uint8Array)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest()
      // All that the server keeps of a password.
      const kept = sha1(sha1(password))
      const mask = sha1(random, kept)
      const once = proofOf(password, Buffer.from(random)).map((byte, index) => byte ^ (mask[index] ?? 0))
      assert.deepEqual([...sha1(once)], [...kept])
    }),
  )
})

test('a refusal of the server is the error, with its number and words', async () => {
  const server = createServer((socket) => {
    const refusal = Buffer.concat([Buffer.from([0xff, 0x10, 0x04]), Buffer.from('Too many connections')])
    socket.end(packet(0, refusal))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    await assert.rejects(DatabaseConnection.open('127.0.0.1', port, { user: 'a', password: 'b', database: 'c' }, 5_000), /1040 Too many connections/)
  } finally {
    server.close()
  }
})
