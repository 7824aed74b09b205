/** Time and the world: what happens by itself, and what happens to hosts, cables and disks. */
import { loseConnection, missedCopy, schedule } from './connection.ts'
import { handshake } from './handshake.ts'
import { fillOrphans, healOutdated } from './meet-disks.ts'
import { considerGeneration, hasSilentPeer } from './promotion.ts'
import { refresh } from './refresh.ts'
import { nextResyncEnd, progress } from './resync.ts'
import { attachedMetadata, freshMetadata, type HostState, pairKey, peersOf, type Resource } from './state.ts'
import { allEnds, type End, label, otherEnd, type World } from './world.ts'

/** What happens outside of DRBD's commands. Hosts are named; a device file's openers are told by `open` and `close` of the cluster. */
export type WorldEvent =
  | { kind: 'power'; host: string; on: boolean }
  /** the cable between two hosts. */
  | { kind: 'link'; between: [string, string]; up: boolean }
  /** a backing device appears, grows (never shrinks while attached) or is replaced by an empty one. */
  | { kind: 'disk'; host: string; path: string; sizeKib: number; empty?: boolean }
  | { kind: 'disk-broken'; host: string; path: string; broken: boolean }
  /** blocks changed behind DRBD's back: a verify finds them. */
  | { kind: 'disk-damaged'; host: string; path: string; kib: number }
  /** drbdmeta create-md / wipe-md, where metadata is the fake's own. */
  | { kind: 'create-metadata'; host: string; path: string; maxPeers: number }
  | { kind: 'wipe-metadata'; host: string; path: string }
  | { kind: 'write'; host: string; minor: number; kib: number }
  /** another program listens on a TCP port. */
  | { kind: 'port-taken'; host: string; port: number; taken: boolean }

export function happen(world: World, event: WorldEvent): void {
  const { state } = world
  if (event.kind === 'link') {
    const key = pairKey(...event.between)
    state.cuts = state.cuts.filter((cut) => cut !== key)
    if (!event.up) state.cuts.push(key)
    settle(world)
    return
  }
  const host = state.hosts[event.host]
  if (host === undefined) throw new Error(`the fake DRBD knows no host ${event.host}`)
  switch (event.kind) {
    case 'power':
      host.powered = event.on
      // what the kernel knew is gone; the disks keep what was written
      if (!event.on) host.resources = {}
      break
    case 'disk': {
      const meta = event.empty === true ? undefined : host.disks[event.path]?.meta
      host.disks[event.path] = { sizeKib: event.sizeKib, broken: false, ...(meta === undefined ? {} : { meta }) }
      break
    }
    case 'disk-broken': {
      const disk = host.disks[event.path]
      if (disk !== undefined) disk.broken = event.broken
      if (event.broken) failDisk(world, host, event.path)
      break
    }
    case 'disk-damaged': {
      const disk = host.disks[event.path]
      if (disk !== undefined) disk.damagedKib = (disk.damagedKib ?? 0) + event.kib
      break
    }
    case 'create-metadata':
    case 'wipe-metadata': {
      const disk = host.disks[event.path]
      if (disk === undefined) throw new Error(`${event.host} has no disk ${event.path}`)
      if (event.kind === 'create-metadata') disk.meta = freshMetadata(event.maxPeers)
      else delete disk.meta
      break
    }
    case 'port-taken':
      host.foreignPorts = [...host.foreignPorts.filter((port) => port !== event.port), ...(event.taken ? [event.port] : [])]
      break
    case 'write':
      throw new Error('a write goes through the cluster')
  }
  settle(world)
}

/** on-io-error detach: the disk goes, its node works on over the network. */
function failDisk(world: World, host: HostState, path: string): void {
  for (const resource of Object.values(host.resources)) {
    const { device } = resource
    if (device?.backing !== path || device.disk === 'Diskless') continue
    device.disk = 'Failed'
    world.log(host, `${label(resource)}: disk( UpToDate -> Failed ) [detach]`)
    refresh(world)
    detachDisk(world, host, resource, false)
  }
}

export function detachDisk(world: World, host: HostState, resource: Resource, client: boolean): void {
  const { device } = resource
  if (device === undefined) return
  const meta = attachedMetadata(host, resource)
  if (meta !== undefined) Object.assign(meta, { primary: false, inUse: false })
  device.disk = 'Diskless'
  device.client = client
  device.crashedPrimary = false
  delete device.backing
  delete device.metaDisk
  delete device.consistentUntil
  device.diskOptions = {}
  for (const peer of peersOf(resource)) {
    const end = { host, resource, peer }
    const other = otherEnd(world.state, end)
    for (const one of other === undefined ? [end] : [end, other]) {
      if (one.peer.state !== 'Connected' || one.peer.sync === undefined) continue
      one.peer.replication = 'Established'
      one.peer.suspended = []
      delete one.peer.sync
    }
    if (other !== undefined) missedCopy(world, other)
  }
  missedCopy(world, { host, resource })
}

/** Lets the time come to `now`: every timer in its order, and resyncs in between. */
export function passTime(world: World, now: number): void {
  const { state } = world
  settle(world)
  for (;;) {
    const due = nextTimer(world)
    const until = Math.min(due ?? now, now)
    if (until > state.now) {
      const ms = until - state.now
      state.now = until
      progress(world, ms)
      refresh(world)
    }
    if (due === undefined || due > now) return
    fire(world)
    settle(world)
  }
}

/** A change's consequences and the timers that it sets or takes away. */
export function settle(world: World): void {
  refresh(world)
  healOutdated(world)
  fillOrphans(world)
  refresh(world)
  schedule(world)
}

function nextTimer(world: World): number | undefined {
  const times: number[] = []
  for (const { peer } of allEnds(world.state)) times.push(...[peer.connectAt, peer.lossAt].filter((time) => time !== undefined))
  for (const resource of allResources(world))
    times.push(...[resource.device?.consistentUntil, resource.device?.generationDue].filter((time) => time !== undefined))
  const end = nextResyncEnd(world.state)
  if (end !== undefined) times.push(end)
  return times.length === 0 ? undefined : Math.max(Math.min(...times), world.state.now)
}

const allResources = (world: World): Resource[] => Object.values(world.state.hosts).flatMap((host) => Object.values(host.resources))

function fire(world: World): void {
  const { state } = world
  progress(world, 0)
  for (const host of Object.values(state.hosts)) {
    for (const resource of Object.values(host.resources)) {
      const { device } = resource
      if (device === undefined) continue
      if (device.consistentUntil !== undefined && device.consistentUntil <= state.now) {
        delete device.consistentUntil
        if (device.disk === 'Consistent') device.disk = 'UpToDate'
      }
      if (device.generationDue !== undefined && device.generationDue <= state.now) {
        delete device.generationDue
        if (hasSilentPeer(world, { host, resource })) device.generationDue = state.now + 500
        else considerGeneration(world, { host, resource })
      }
    }
  }
  for (const end of [...allEnds(state)]) {
    if (end.peer.lossAt !== undefined && end.peer.lossAt <= state.now && end.peer.state === 'Connected') {
      loseConnection(world, end)
      refresh(world)
    }
  }
  for (const end of [...allEnds(state)]) {
    if (end.peer.connectAt === undefined || end.peer.connectAt > state.now || end.peer.state !== 'Connecting') continue
    delete end.peer.connectAt
    const other = otherEnd(state, end)
    if (other === undefined || other.peer.state !== 'Connecting') continue
    delete other.peer.connectAt
    meet(world, end, other)
  }
}

function meet(world: World, end: End, other: End): void {
  handshake(world, end, other)
  refresh(world)
}
