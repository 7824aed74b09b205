/**
 * Stands for the network side of one host's kernel: lives in the host's network and pid namespaces, so it dies with the host, and pings
 * its like on the other hosts through the lab's own cables. Holds the TCP ports of the resources, so that two cannot have one.
 *
 * Standard input, a JSON document a line: {"peers": {NAME: ADDRESS}, "ports": [PORT, …]} = what is wanted from now on.
 * Standard output: {"reaches": [NAME, …]} and {"taken": [PORT, …]} (held by somebody else), each when it changes.
 */
import { createSocket } from 'node:dgram'
import { createServer, type Server } from 'node:net'
import { createInterface } from 'node:readline'

const pingPort = 6999
/** Milliseconds. */
const pingEvery = 200
const silentAfter = 1500

const [own = ''] = process.argv.slice(2)
let peers: Readonly<Record<string, string>> = {}
/** When a peer was last heard, and said that it hears us. */
const heard = new Map<string, { readonly at: number; readonly hearsUs: boolean }>()
const servers = new Map<number, Server>()
const taken = new Set<number>()
const told = new Map<string, string>()

function tell(key: string, value: readonly (string | number)[]): void {
  const text = JSON.stringify({ [key]: [...value].sort() })
  if (told.get(key) === text) return
  told.set(key, text)
  process.stdout.write(`${text}\n`)
}

const hears = (name: string): boolean => performance.now() - (heard.get(name)?.at ?? Number.NEGATIVE_INFINITY) < silentAfter

const socket = createSocket('udp4')
socket.on('message', (data) => {
  const { from, hears: list } = JSON.parse(String(data)) as { from: string; hears: readonly string[] }
  heard.set(from, { at: performance.now(), hearsUs: list.includes(own) })
})
// "Network is unreachable" while the host's cable is not there yet.
socket.on('error', () => undefined)
socket.bind(pingPort)

function ping(): void {
  const names = Object.keys(peers)
  const message = JSON.stringify({ from: own, hears: names.filter(hears) })
  for (const name of names) socket.send(message, pingPort, peers[name], () => undefined)
  tell(
    'reaches',
    names.filter((name) => hears(name) && heard.get(name)?.hearsUs === true),
  )
}
setInterval(ping, pingEvery)

function listen(port: number): void {
  const server = createServer((connection) => connection.destroy())
  server.on('error', () => {
    servers.delete(port)
    taken.add(port)
    tell('taken', [...taken])
  })
  server.listen(port, () => {
    taken.delete(port)
    tell('taken', [...taken])
  })
  servers.set(port, server)
}

for await (const line of createInterface(process.stdin)) {
  const wanted = JSON.parse(line) as { readonly peers: Readonly<Record<string, string>>; readonly ports: readonly number[] }
  peers = wanted.peers
  for (const [port, server] of servers) {
    if (wanted.ports.includes(port)) continue
    server.close()
    servers.delete(port)
  }
  for (const port of taken) if (!wanted.ports.includes(port)) taken.delete(port)
  for (const port of wanted.ports) if (!servers.has(port)) listen(port)
  ping()
}
process.exit()
