/** drbdsetup's commands that only read. */
import { existing, recordsOf, timestamp } from './events-format.ts'
import { gi } from './generation-format.ts'
import { done, failure, type Result, usage } from './results.ts'
import { showJson, showText } from './show-format.ts'
import { type HostState, type Peer, peersOf, type Resource } from './state.ts'
import { statusJson, statusText } from './status-format.ts'

/** Answers undefined for a command that it does not know. */
export function read(host: HostState, now: number, argv: readonly string[]): Result | undefined {
  // drbdmeta asks whether a disk is attached in the old order of words: `drbdsetup MINOR dstate`
  const words = /^\d+$/.test(argv[0] ?? '') && argv[1] === 'dstate' ? ['dstate', argv[0] as string] : [...argv]
  const flags = new Set(words.filter((word) => word.startsWith('--')))
  const [command = '', name = '', nodeId = ''] = words.filter((word) => !word.startsWith('--'))
  const resource = host.resources[name]
  const all = Object.values(host.resources).sort((a, b) => (a.name < b.name ? -1 : 1))
  switch (command) {
    case 'status':
      return status(host, now, name, all, flags)
    case 'show': {
      const wanted = name === '' || name === 'all' ? all : all.filter((one) => one.name === name)
      if (flags.has('--json')) return done(showJson(wanted))
      return done(wanted.length === 0 && name !== '' && name !== 'all' ? '' : showText(wanted, flags.has('--show-defaults')))
    }
    case 'events2': {
      const records = recordsOf(host, now).filter((record) => name === '' || name === 'all' || record.resource === name)
      if (!flags.has('--now')) return usage('events2 that follows is served by the events of the cluster')
      const stamp = flags.has('--timestamps') ? `${timestamp(now)} ` : ''
      return done(
        existing(records, flags.has('--statistics'))
          .map((line) => `${stamp}${line}\n`)
          .join(''),
      )
    }
    case 'role':
      return resource === undefined ? { code: 10, stdout: '', stderr: `${name}: Unknown resource\n` } : done(`${resource.role}\n`)
    case 'cstate':
      return onPeer(name, resource, nodeId, (peer) => `${peer.state}\n`)
    case 'dstate': {
      const owner = all.find((one) => one.device?.minor === Number(name))
      return owner === undefined ? failure(name, 127) : done(`${[owner.device?.disk, ...peersOf(owner).map((peer) => peer.disk)].join('/')}\n`)
    }
    case 'get-gi':
    case 'show-gi':
      return onPeer(name, resource, nodeId, (peer) => gi(host, resource as Resource, peer, command === 'show-gi'))
    default:
      return undefined
  }
}

function status(host: HostState, now: number, name: string, all: readonly Resource[], flags: ReadonlySet<string>): Result {
  const wanted = name === '' || name === 'all' ? all : all.filter((one) => one.name === name)
  const missing = name !== '' && name !== 'all' && wanted.length === 0
  const how = { verbose: flags.has('--verbose'), statistics: flags.has('--statistics') }
  const stdout = flags.has('--json') ? statusJson(host, wanted, now) : missing && all.length > 0 ? '' : statusText(host, wanted, now, how)
  return missing ? { code: 10, stdout, stderr: `${name}: No such resource\n` } : done(stdout)
}

function onPeer(name: string, resource: Resource | undefined, nodeId: string, answer: (peer: Peer) => string): Result {
  if (resource === undefined) return { code: 10, stdout: '', stderr: `${name}: Failure: (158) Unknown resource\n${name}: No such connection\n` }
  const peer = resource.peers[nodeId]
  return peer === undefined ? { code: 10, stdout: '', stderr: `${name}: No such connection\n` } : done(answer(peer))
}
