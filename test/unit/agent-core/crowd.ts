/**
 * Connections without a certificate, from a process of its own: PORT HOST CA-FILE COUNT. Half of them say nothing at all. Tells "open" once all were
 * made, and "gone" once the other side has closed them all.
 */
import { readFileSync } from 'node:fs'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const [port, servername = '', ca = '', count] = process.argv.slice(2)
const to = { port: Number(port), host: '127.0.0.1' }
const pem = readFileSync(ca)
let opened = 0
let gone = 0

function watch(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.once('connect', () => {
    opened += 1
    if (opened === Number(count)) process.stdout.write('open\n')
  })
  socket.once('close', () => {
    gone += 1
    if (gone === Number(count)) process.stdout.write('gone\n')
  })
}

for (let n = 0; n < Number(count); n++)
  watch(n % 2 === 0 ? connectPlain(to) : connectTls({ ...to, ca: pem, servername, rejectUnauthorized: false, ALPNProtocols: ['h2'] }))
