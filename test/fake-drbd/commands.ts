/** drbdsetup's commands that change something. */
import { attach, resize } from './attach.ts'
import { closeInOrder, refusesLeave, startConnecting } from './connection.ts'
import { newCurrentUuid } from './first-generation.ts'
import { detachDisk } from './machine.ts'
import { DISK_OPTIONS, NET_OPTIONS, PEER_DEVICE_OPTIONS, RESOURCE_OPTIONS, takeOptions, UnknownOption } from './options.ts'
import { demote, NEED_DATA, promote } from './promotion.ts'
import { done, failure, type Result, refused, usage } from './results.ts'
import { startResync, startVerify } from './resync.ts'
import { attachedMetadata, emptyPeerMetadata, type HostState, isClientByConfiguration, type Options, type Peer, peersOf, type Resource } from './state.ts'
import { liveEnd, type World } from './world.ts'

export interface Call {
  world: World
  host: HostState
  /** of the first try of this command. */
  since: number
}

type Command = (call: Call, words: readonly string[]) => Result

/** Answers undefined for a command that does not change anything or is not known. */
export function change(call: Call, argv: readonly string[]): Result | undefined {
  const command = COMMANDS[argv[0] ?? '']
  if (command === undefined) return undefined
  try {
    return command(call, argv.slice(1))
  } catch (error) {
    if (error instanceof UnknownOption) return usage(`drbdsetup ${argv[0]}: ${error.message}`)
    throw error
  }
}

const COMMANDS: Record<string, Command> = {
  'new-resource': (call, words) => {
    const { options, rest } = takeOptions(words, RESOURCE_OPTIONS)
    const [name = '', nodeId] = rest
    if (call.host.resources[name] !== undefined) return failure(name, 162, 'resource exists already')
    call.host.resources[name] = { name, nodeId: Number(nodeId), options, role: 'Secondary', explicit: false, forceIoFailures: false, peers: {} }
    return done()
  },
  'resource-options': (call, words) => onResource(call, words, (resource) => set(resource, 'options', words, RESOURCE_OPTIONS)),
  'new-minor': newMinor,
  'new-peer': (call, words) =>
    onResource(call, words, (resource, rest) => {
      const nodeId = Number(rest[0])
      if (resource.peers[nodeId] !== undefined) return failure(resource.name, 162, 'peer connection already exists')
      const order = Math.max(0, ...peersOf(resource).map((peer) => peer.order)) + 1
      resource.peers[nodeId] = newPeer(nodeId, order, takeOptions(words, NET_OPTIONS).options)
      return done()
    }),
  'net-options': (call, words) => onPeer(call, words, (_resource, peer) => set(peer, 'netOptions', words, NET_OPTIONS)),
  'peer-device-options': (call, words) =>
    onPeer(call, words, (_resource, peer) => {
      const result = set(peer, 'deviceOptions', words, PEER_DEVICE_OPTIONS)
      if (peer.state !== 'Connected') peer.client = isClientByConfiguration(peer)
      return result
    }),
  'new-path': (call, words) =>
    onPeer(call, words, (resource, peer, rest) => {
      const path = { local: rest[0] ?? '', remote: rest[1] ?? '' }
      const taken = Object.values(call.host.resources).some((one) =>
        peersOf(one).some((other) => other.path?.local === path.local && other.path.remote === path.remote),
      )
      if (taken) return failure(resource.name, 102)
      peer.path = path
      call.world.state.addresses[path.local] = call.host.name
      return done()
    }),
  'del-path': (call, words) =>
    onPeer(call, words, (_resource, peer) => {
      delete peer.path
      return done()
    }),
  connect: (call, words) =>
    onPeer(call, words, (resource, peer) => {
      if (peer.state !== 'StandAlone') return failure(resource.name, 125)
      const discard = takeOptions(words, [], ['discard-my-data', 'tentative']).given.has('discard-my-data')
      if (discard && resource.role === 'Primary') return failure(resource.name, 123)
      peer.discardMyData = discard
      startConnecting(call.world, { host: call.host, resource, peer })
      return done()
    }),
  disconnect: (call, words) => onPeer(call, words, (resource, peer) => leave(call, resource, peer) ?? done()),
  'del-peer': (call, words) =>
    onPeer(call, words, (resource, peer) => {
      const refusal = leave(call, resource, peer)
      if (refusal !== undefined) return refusal
      delete resource.peers[peer.nodeId]
      return done()
    }),
  'forget-peer': (call, words) =>
    onResource(call, words, (resource, rest) => {
      const meta = attachedMetadata(call.host, resource)
      if (resource.peers[Number(rest[0])] !== undefined || meta === undefined) return failure(resource.name, 162)
      meta.peers[rest[0] ?? ''] = { ...emptyPeerMetadata(), forgotten: true }
      return done()
    }),
  attach: (call, words) => onMinor(call, words, (resource, rest) => attach(call, resource, rest, takeOptions(words, DISK_OPTIONS).options)),
  'disk-options': (call, words) =>
    onMinor(call, words, (resource) => {
      const { device } = resource
      return device?.backing === undefined ? failure(words[0] ?? '', 138) : set(device, 'diskOptions', words, DISK_OPTIONS)
    }),
  detach: (call, words) => onMinor(call, words, (resource) => detach(call, resource, takeOptions(words, [], ['diskless', 'force']).given)),
  'del-minor': (call, words) =>
    onMinor(call, words, (resource) => {
      if ((resource.device?.openers.length ?? 0) > 0) return refused(words[0] ?? '', inUse(resource))
      detachDisk(call.world, call.host, resource, false)
      delete resource.device
      return done()
    }),
  'del-resource': (call, words) =>
    onResource(call, words, (resource) => {
      if (resource.device !== undefined || peersOf(resource).length > 0) return failure(resource.name, 162)
      delete call.host.resources[resource.name]
      return done()
    }),
  down,
  primary: (call, words) => onResource(call, words, (resource) => primary(call, resource, takeOptions(words, [], ['force']).given.has('force'))),
  secondary: (call, words) =>
    onResource(call, words, (resource) => {
      const force = takeOptions(words, [], ['force']).given.has('force')
      const writers = resource.device?.openers.some((opener) => opener.write) === true
      if (resource.role === 'Primary' && writers && !force) return refused(resource.name, inUse(resource))
      if (resource.role === 'Primary' && writers) resource.forceIoFailures = true
      demote(call.world, { host: call.host, resource })
      return done()
    }),
  'new-current-uuid': (call, words) =>
    onMinor(call, words, (resource) => newCurrentUuid(call, resource, takeOptions(words, [], ['clear-bitmap', 'force-resync']).given.has('clear-bitmap'))),
  resize: (call, words) =>
    onMinor(call, words, (resource) => resize(call, resource, takeOptions(words, DISK_OPTIONS, ['assume-clean', 'assume-peer-has-space']).given)),
  // remembers a backing device's size in a file of drbd-utils: nothing that DRBD itself knows
  'check-resize': (call, words) => onMinor(call, words, () => done()),
  verify: (call, words) =>
    onPeer(call, words, (resource, peer) => {
      const other = liveEnd(call.world.state, { host: call.host, resource, peer })
      if (other === undefined) return refused(resource.name, { rv: -15, text: 'Need a connection to start verify or resync' })
      if ((peer.netOptions['verify-alg'] ?? '') === '') return refused(resource.name, { rv: -14, text: 'Need a verify algorithm to start online verify' })
      if (peer.replication !== 'Established') return refused(resource.name, { rv: -8, text: 'Can not start OV/resync since it is already active' })
      startVerify(call.world, { host: call.host, resource, peer }, other)
      return done()
    }),
  invalidate: (call, words) => onMinor(call, words, (resource) => copyFrom(call, resource)),
  'invalidate-remote': (call, words) =>
    onPeer(call, words, (resource, peer) => {
      const other = liveEnd(call.world.state, { host: call.host, resource, peer })
      if (other === undefined || resource.device?.disk !== 'UpToDate' || other.resource.role === 'Primary') return refused(resource.name, NEED_DATA)
      startResync(call.world, { host: call.host, resource, peer }, other, true)
      return done()
    }),
}

const set = <K extends string>(target: { [key in K]: Options }, key: K, words: readonly string[], kinds: Parameters<typeof takeOptions>[1]): Result => {
  const { options, given } = takeOptions(words, kinds, ['set-defaults'])
  target[key] = given.has('set-defaults') ? options : { ...target[key], ...options }
  return done()
}

const plain = (words: readonly string[]): string[] => words.filter((word) => !word.startsWith('--'))

function onResource(call: Call, words: readonly string[], act: (resource: Resource, rest: string[]) => Result): Result {
  const [name = '', ...rest] = plain(words)
  const resource = call.host.resources[name]
  return resource === undefined ? failure(name, 158) : act(resource, rest)
}

function onPeer(call: Call, words: readonly string[], act: (resource: Resource, peer: Peer, rest: string[]) => Result): Result {
  return onResource(call, words, (resource, [nodeId = '', ...rest]) => {
    const peer = resource.peers[nodeId]
    return peer === undefined ? failure(resource.name, 162, 'unknown connection') : act(resource, peer, rest)
  })
}

function onMinor(call: Call, words: readonly string[], act: (resource: Resource, rest: string[]) => Result): Result {
  const [minor = '', ...rest] = plain(words)
  const resource = Object.values(call.host.resources).find((one) => one.device?.minor === Number(minor))
  return resource === undefined ? failure(minor, 127) : act(resource, rest)
}

function newMinor(call: Call, words: readonly string[]): Result {
  return onResource(call, words, (resource, [minor, volume]) => {
    const number = Number(minor)
    const taken = resource.device !== undefined || Object.values(call.host.resources).some((one) => one.device?.minor === number)
    if (taken) return failure(resource.name, 161)
    resource.device = {
      minor: number,
      volume: Number(volume),
      diskOptions: {},
      disk: 'Diskless',
      client: takeOptions(words, [], ['diskless']).given.has('diskless'),
      quorum: false,
      sizeKib: 0,
      hadDisk: false,
      openers: [],
      crashedPrimary: false,
    }
    return done()
  })
}

const newPeer = (nodeId: number, order: number, netOptions: Options): Peer => ({
  nodeId,
  order,
  netOptions,
  deviceOptions: {},
  state: 'StandAlone',
  role: 'Unknown',
  disk: 'DUnknown',
  client: false,
  replication: 'Off',
  suspended: [],
  discardMyData: false,
  leftInOrder: false,
  receivedKib: 0,
  sentKib: 0,
})

function leave(call: Call, resource: Resource, peer: Peer): Result | undefined {
  const end = { host: call.host, resource, peer }
  const by = refusesLeave(call.world, end)
  if (by === end) return refused(resource.name, NEED_DATA)
  if (by !== undefined) {
    const name = peer.netOptions['_name'] ?? ''
    return refused(resource.name, {
      rv: -10,
      text: 'State change was refused by peer node',
      info: `Declined by peer ${name} (id: ${peer.nodeId}), see the kernel log there`,
    })
  }
  closeInOrder(call.world, end)
  return undefined
}

const inUse = (resource: Resource): { rv: number; text: string; info: string } => ({ rv: -12, text: 'Device is held open by someone', info: heldBy(resource) })
const heldBy = (resource: Resource): string =>
  (resource.device?.openers ?? [])
    .map(
      (opener) =>
        `drbd${resource.device?.minor} opened by ${opener.program} (pid ${opener.pid}) at ${new Date(opener.at).toISOString().replace('T', ' ').replace('Z', '')}`,
    )
    .join('\n')

/** Demote, delete every connection, detach, delete: what failed half-way stays half done, as in the kernel. */
function down(call: Call, words: readonly string[]): Result {
  const [name = ''] = plain(words)
  const resource = call.host.resources[name]
  if (resource === undefined) return done()
  const openers = resource.device?.openers ?? []
  if (resource.role === 'Primary' && openers.length > 0) return refused(name, inUse(resource))
  demote(call.world, { host: call.host, resource })
  for (const peer of peersOf(resource)) {
    const refusal = leave(call, resource, peer)
    if (refusal !== undefined) return refusal
    delete resource.peers[peer.nodeId]
  }
  if (openers.length > 0) return refused(name, { ...NEED_DATA, info: heldBy(resource) })
  detachDisk(call.world, call.host, resource, false)
  delete call.host.resources[name]
  return done()
}

function detach(call: Call, resource: Resource, given: Set<string>): Result {
  const { device } = resource
  if (device === undefined) return failure(resource.name, 138)
  const elsewhere = peersOf(resource).some((peer) => liveEnd(call.world.state, { host: call.host, resource, peer }) !== undefined && peer.disk === 'UpToDate')
  if (resource.role === 'Primary' && !elsewhere && !given.has('force') && device.disk !== 'Diskless') return refused(String(device.minor), NEED_DATA)
  detachDisk(call.world, call.host, resource, given.has('diskless'))
  return done()
}

/** While a read-only opener elsewhere keeps the peers from agreeing, the command waits as the kernel's two-phase commit does. */
function primary(call: Call, resource: Resource, force: boolean): Result {
  const result = promote(call.world, { host: call.host, resource }, { force, explicit: true, program: 'primary' })
  if (result === 'ok') return done()
  if ('again' in result) return { ...done(), again: result.again }
  const patience = call.since + 10_300
  if (result.rv === -10 && call.world.state.now < patience) return { ...done(), again: Math.min(call.world.state.now + 500, patience) }
  return refused(resource.name, result)
}

/** `invalidate`: all of the local data again, from a peer that is up to date. */
function copyFrom(call: Call, resource: Resource): Result {
  if (resource.role === 'Primary' || attachedMetadata(call.host, resource) === undefined) return refused(resource.name, NEED_DATA)
  for (const peer of peersOf(resource)) {
    const end = { host: call.host, resource, peer }
    const other = liveEnd(call.world.state, end)
    if (other?.resource.device?.disk !== 'UpToDate' || peer.replication !== 'Established') continue
    startResync(call.world, other, end, true)
    return done()
  }
  return refused(resource.name, NEED_DATA)
}
