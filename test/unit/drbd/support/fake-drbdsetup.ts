/** A `drbdsetup` in the PATH of this process that is answered by the fake DRBD: the agent in this process is the first of its hosts. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeCluster } from '../../../fake-drbd/cluster.ts'

export interface FakeDrbd {
  readonly cluster: FakeCluster
  /** What `drbdsetup ARGS` does on a host, to its end. */
  run(host: string, ...args: string[]): string
  close(): Promise<void>
}

const client = `#!${process.execPath}
const socket = require('node:net').connect(__dirname + '/socket')
socket.setEncoding('utf8')
let text = ''
const follow = process.argv[2] === 'events2'
socket.on('data', (part) => follow ? process.stdout.write(part) : (text += part))
socket.on('end', () => {
  if (follow) return
  const { code, stdout, stderr } = JSON.parse(text)
  process.stdout.write(stdout)
  process.stderr.write(stderr)
  process.exitCode = code
})
socket.write(JSON.stringify(process.argv.slice(2)) + '\\n')
`

/** Milliseconds of the cluster's time that bringing it up takes: it begins so long ago, and goes on from now. */
const connecting = 5_000
const equalizing = 1_000

/** Hosts that all hold a disk of the resource, are connected and UpToDate. */
export async function fakeDrbd(hosts: readonly string[], resource: string): Promise<FakeDrbd> {
  const folder = mkdtempSync(join(tmpdir(), 'fake-drbdsetup-'))
  const path = join(folder, 'drbdsetup')
  writeFileSync(path, client)
  chmodSync(path, 0o755)
  const cluster = new FakeCluster({ hosts, now: Date.now() - connecting - equalizing })
  const run = (host: string, ...args: string[]): string => {
    const { code, stdout, stderr } = cluster.host(host).run(args, { now: cluster.state.now })
    if (code !== 0) throw new Error(`${host}: drbdsetup ${args.join(' ')}: ${code} ${stderr}`)
    return stdout
  }
  const first = hosts[0] ?? ''
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    socket.once('data', (data) => {
      const args = JSON.parse(String(data)) as string[]
      if (args[0] === 'events2') return follow(cluster, first, socket)
      const since = Date.now()
      const attempt = (): void => {
        const result = cluster.host(first).run(args, { now: Date.now(), since })
        if (result.again === undefined) socket.end(JSON.stringify(result))
        else setTimeout(attempt, Math.max(1, result.again - Date.now()))
      }
      attempt()
    })
  })
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve))
  const before = process.env['PATH']
  process.env['PATH'] = `${folder}:${before}`
  bringUp(cluster, run, hosts, resource)
  const clock = setInterval(() => cluster.tick(Date.now()), 20)
  return {
    cluster,
    run,
    close: async () => {
      clearInterval(clock)
      process.env['PATH'] = before
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function follow(cluster: FakeCluster, host: string, socket: Socket): void {
  const how = { statistics: true, timestamps: true }
  let { lines, sequence } = cluster.events(host, how)
  const send = (): void => void (lines.length > 0 && socket.write(`${lines.join('\n')}\n`))
  send()
  const timer = setInterval(() => {
    ;({ lines, sequence } = cluster.events(host, { after: sequence, ...how }))
    send()
  }, 20)
  socket.on('close', () => clearInterval(timer))
}

function bringUp(cluster: FakeCluster, run: FakeDrbd['run'], hosts: readonly string[], resource: string): void {
  const disk = `/dev/drbdvg/${resource}`
  const address = (id: number): string => `ipv4:192.0.2.${id + 1}:7001`
  for (const [id, host] of hosts.entries()) {
    cluster.event({ kind: 'disk', host, path: disk, sizeKib: 262_144 }, cluster.state.now)
    cluster.event({ kind: 'create-metadata', host, path: disk, maxPeers: 7 }, cluster.state.now)
    run(host, 'new-resource', resource, String(id), '--quorum=majority', '--on-no-quorum=io-error')
    run(host, 'new-minor', resource, '1', '0')
    for (const [peer, name] of hosts.entries()) {
      if (peer === id) continue
      run(host, 'new-peer', resource, String(peer), `--_name=${name}.example.site`, '--verify-alg=crc32c', '--protocol=C')
      run(host, 'new-path', resource, String(peer), address(id), address(peer))
    }
    run(host, 'attach', '1', disk, disk, 'internal')
  }
  for (const [id, host] of hosts.entries()) for (const peer of hosts.keys()) if (peer !== id) run(host, 'connect', resource, String(peer))
  cluster.tick(cluster.state.now + connecting)
  run(hosts[0] ?? '', 'new-current-uuid', '--clear-bitmap', '1')
  cluster.tick(cluster.state.now + equalizing)
}
