/**
 * The relay's side within the namespace: listens on the unix socket named as argument, reads one line {address, port} from
 * each connection, then passes bytes. Ends with its standard input.
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from './ec2-relay.ts'

const [path = ''] = process.argv.slice(2)

function meet(outside: Socket): void {
  outside.on('error', () => undefined)
  let head = Buffer.alloc(0)
  const read = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\n')
    if (end === -1) return
    outside.off('data', read)
    outside.pause()
    const { address, port } = JSON.parse(head.subarray(0, end).toString('utf8')) as { address: string; port: number }
    const inside = connect({ host: address, port, allowHalfOpen: true, timeout: 20_000 })
    inside.once('timeout', () => inside.destroy())
    inside.once('connect', () => inside.setTimeout(0))
    inside.write(head.subarray(end + 1))
    join(outside, inside)
  }
  outside.on('data', read)
}

rmSync(path, { force: true })
createServer({ allowHalfOpen: true }, meet).listen(path, () => process.stdout.write('ready\n'))
process.stdin.resume().once('close', () => process.exit(0))
