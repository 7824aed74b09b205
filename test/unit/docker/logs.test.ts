import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { suite, test } from 'node:test'
import { eachLogLine, timeOf } from '../../../agent/adapters/docker/logs.ts'

const frame = (stream: number, text: string): Buffer => {
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

/** The lines that come of these bytes, given in pieces of `size`. */
async function linesOf(bytes: Buffer, size: number): Promise<string[]> {
  const body = new PassThrough()
  const found: string[] = []
  const done = eachLogLine(body, false, ({ stream, line }) => found.push(`${stream}: ${line}`))
  for (let at = 0; at < bytes.length; at += size) body.write(bytes.subarray(at, at + size))
  body.end()
  await done
  return found
}

suite('a log of docker', () => {
  const bytes = Buffer.concat([frame(1, 'one\ntw'), frame(2, 'oops\n'), frame(1, 'o\n'), frame(3, 'Error grabbing logs: node is not available\n')])

  test('comes as lines of its streams, however it is cut, and with docker\u2019s own errors as text', async () => {
    for (const size of [1, 3, 8, 1000])
      assert.deepEqual(await linesOf(bytes, size), ['stdout: one', 'stderr: oops', 'stdout: two', 'stderr: Error grabbing logs: node is not available'])
  })

  test('of a terminal has no frames', async () => {
    assert.deepEqual(await linesOf(Buffer.from('a terminal\nhas none\n'), 5), ['stdout: a terminal', 'stdout: has none'])
  })

  test('has a time before each line, but for docker\u2019s own errors', () => {
    assert.deepEqual(timeOf('2024-05-06T07:08:09.123456789Z  said this'), { at: new Date('2024-05-06T07:08:09.123Z'), text: ' said this' })
    assert.deepEqual(timeOf('2024-05-06T07:08:09Z'), { at: new Date('2024-05-06T07:08:09Z'), text: '' })
    for (const line of ['Error grabbing logs: node is not available', '', '2024-99-99T77 no time'])
      assert.deepEqual(timeOf(line), { at: undefined, text: line })
  })
})
