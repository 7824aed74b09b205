/** Takes values as a Zabbix server does, encrypted with a key, and keeps none: `node bench/zabbix-sink.ts PORT KEY`. Says how many came when it is told to end. */
import { createServer } from 'node:tls'
import { decodeFrame, encodeFrame } from '../agent/watchers/reporter/zabbix-frame.ts'

let values = 0
let requests = 0

const [, , port, key = ''] = process.argv
const server = createServer({ pskCallback: () => Buffer.from(key, 'hex'), ciphers: 'PSK', maxVersion: 'TLSv1.2' }, (socket) => {
  let bytes = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    const text = decodeFrame(bytes)
    if (text === undefined) return
    const { data } = JSON.parse(text) as { readonly data: readonly unknown[] }
    values += data.length
    requests++
    socket.end(encodeFrame(JSON.stringify({ response: 'success', info: `processed: ${data.length}; failed: 0; total: ${data.length}; seconds spent: 0.001` })))
  })
})
server.listen(Number(port), '0.0.0.0', () => process.stdout.write('listening\n'))
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ values, requests })}\n`)
  process.exit(0)
})
