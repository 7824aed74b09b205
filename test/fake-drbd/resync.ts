/** Resync and verify: who copies to whom, how far they are, and what their end means. */
import { clearBitmap } from './generation.ts'
import { attachedMetadata, type ClusterState, NO_GENERATION, type Peer, peerMetadata, peersOf } from './state.ts'
import { allEnds, type End, label, liveEnd, type World } from './world.ts'

const ACTIVE = new Set(['SyncTarget', 'VerifyS'])

/** The target becomes Inconsistent and copies what is out of sync; beside another resync of the same disk it waits. */
export function startResync(world: World, source: End, target: End, whole: boolean): void {
  const [from, to] = [attachedMetadata(source.host, source.resource), attachedMetadata(target.host, target.resource)]
  const device = target.resource.device
  if (from === undefined || to === undefined || device === undefined) return
  const mine = peerMetadata(from, target.resource.nodeId)
  const theirs = peerMetadata(to, source.resource.nodeId)
  const total = whole ? device.sizeKib : Math.min(device.sizeKib, Math.max(mine.dirtyKib + theirs.dirtyKib, 4))
  mine.dirtyKib = total
  theirs.dirtyKib = total
  if (mine.bitmap === NO_GENERATION && from.current !== to.current) mine.bitmap = to.current
  const busy = peersOf(target.resource).some((peer) => peer !== target.peer && peer.replication === 'SyncTarget')
  device.disk = 'Inconsistent'
  to.consistent = false
  to.upToDate = false
  for (const end of [source, target]) end.peer.sync = { startedAt: world.state.now, totalKib: total, leftKib: total, differentKib: 0 }
  setRunning(source.peer, target.peer, !busy)
  for (const [end, role] of [
    [source, busy ? 'PausedSyncS' : 'SyncSource'],
    [target, busy ? 'PausedSyncT' : 'SyncTarget'],
  ] as const) {
    world.log(end.host, `${label(end.resource, end.peer)}: Began resync as ${role} (will sync ${total} KB [${Math.ceil(total / 4)} bits set]).`)
  }
}

function setRunning(source: Peer, target: Peer, running: boolean): void {
  source.replication = running ? 'SyncSource' : 'PausedSyncS'
  target.replication = running ? 'SyncTarget' : 'PausedSyncT'
  source.suspended = running ? [] : ['peer']
  target.suspended = running ? [] : ['dependency']
}

/** KiB a millisecond, of the slower side. */
function rate(state: ClusterState, a: Peer, b: Peer): number {
  const limits = [a, b].map((peer) => Number(peer.deviceOptions['c-max-rate'] ?? 102_400))
  return Math.max(Math.min(state.settings.resyncKibPerSecond, ...limits), 1) / 1000
}

/** When the next resync or verify is done, if one runs. */
export function nextResyncEnd(state: ClusterState): number | undefined {
  let next: number | undefined
  for (const { end, other } of running(state)) {
    const at = state.now + (end.peer.sync?.leftKib ?? 0) / rate(state, end.peer, other.peer)
    if (next === undefined || at < next) next = at
  }
  return next
}

function running(state: ClusterState): { end: End; other: End }[] {
  return [...allEnds(state)].flatMap((end) => {
    if (!ACTIVE.has(end.peer.replication) || end.peer.sync === undefined) return []
    const other = liveEnd(state, end)
    // a source that is itself being filled has nothing to give meanwhile; a verification reads on
    const empty = end.peer.replication === 'SyncTarget' && other?.resource.device?.disk === 'Inconsistent'
    return other === undefined || empty ? [] : [{ end, other }]
  })
}

/** Copies what fits into `ms`, and ends what is done. */
export function progress(world: World, ms: number): void {
  for (const { end, other } of running(world.state)) {
    const sync = end.peer.sync
    if (sync === undefined) continue
    const done = Math.min(sync.leftKib, rate(world.state, end.peer, other.peer) * ms)
    sync.leftKib = sync.leftKib - done < 0.5 ? 0 : sync.leftKib - done
    if (other.peer.sync !== undefined) other.peer.sync.leftKib = sync.leftKib
    if (end.peer.replication === 'VerifyS') {
      if (sync.leftKib === 0) endVerify(world, end, other)
      continue
    }
    end.peer.receivedKib += done
    other.peer.sentKib += done
    for (const [one, id] of [
      [end, other.resource.nodeId],
      [other, end.resource.nodeId],
    ] as const) {
      const meta = attachedMetadata(one.host, one.resource)
      if (meta !== undefined) peerMetadata(meta, id).dirtyKib = sync.leftKib
    }
    if (sync.leftKib === 0) endResync(world, other, end)
  }
}

/** The target has the source's data and its generation; what waited beside is settled with it. */
function endResync(world: World, source: End, target: End): void {
  const [from, to] = [attachedMetadata(source.host, source.resource), attachedMetadata(target.host, target.resource)]
  const device = target.resource.device
  if (from === undefined || to === undefined || device === undefined) return
  const disk = source.resource.device?.disk
  to.current = from.current
  to.history = [...from.history]
  // what the source knows of third nodes is now true of the target
  for (const [id, known] of Object.entries(from.peers)) if (Number(id) !== target.resource.nodeId) to.peers[id] = { ...known }
  to.consistent = from.consistent
  to.upToDate = disk === 'UpToDate'
  device.disk = disk === 'UpToDate' ? 'UpToDate' : 'Outdated'
  device.crashedPrimary = false
  clearBitmap(from, target.resource.nodeId)
  clearBitmap(to, source.resource.nodeId)
  clearDamage(source)
  clearDamage(target)
  for (const end of [source, target]) finish(world, end)
  world.log(target.host, `${label(target.resource)}: disk( Inconsistent -> ${device.disk} ) [resync-finished]`)
  for (const peer of peersOf(target.resource)) {
    const end = { host: target.host, resource: target.resource, peer }
    const other = liveEnd(world.state, end)
    if (peer === target.peer || other === undefined) continue
    const theirs = attachedMetadata(other.host, other.resource)
    if (theirs === undefined || theirs.current !== to.current || !theirs.consistent) continue
    clearBitmap(to, peer.nodeId)
    clearBitmap(theirs, target.resource.nodeId)
    if (peer.replication !== 'Established') for (const one of [end, other]) finish(world, one)
  }
}

const clearDamage = (end: End): void => {
  const disk = end.host.disks[end.resource.device?.backing ?? '']
  if (disk !== undefined) delete disk.damagedKib
}

function finish(world: World, end: End): void {
  const before = end.peer.replication
  end.peer.replication = 'Established'
  end.peer.suspended = []
  delete end.peer.sync
  world.log(end.host, `${label(end.resource, end.peer)}: repl( ${before} -> Established ) [resync-finished]`)
}

export function startVerify(world: World, source: End, target: End): void {
  const size = source.resource.device?.sizeKib ?? 0
  const damaged = [source, target].reduce((sum, end) => sum + (end.host.disks[end.resource.device?.backing ?? '']?.damagedKib ?? 0), 0)
  for (const end of [source, target]) end.peer.sync = { startedAt: world.state.now, totalKib: size, leftKib: size, differentKib: damaged }
  source.peer.replication = 'VerifyS'
  target.peer.replication = 'VerifyT'
  world.log(source.host, `${label(source.resource, source.peer)}: Starting Online Verify from sector 0`)
}

function endVerify(world: World, source: End, target: End): void {
  const different = source.peer.sync?.differentKib ?? 0
  world.log(source.host, `${label(source.resource, source.peer)}: Online verify done (total 1 sec; paused 0 sec; 10000 K/sec)`)
  if (different > 0) {
    world.log(source.host, `${label(source.resource, source.peer)}: Online verify found ${Math.ceil(different / 4)} 4k blocks out of sync!`)
    world.helper(source.host, source.resource, 'out-of-sync', source.peer)
    for (const [end, id] of [
      [source, target.resource.nodeId],
      [target, source.resource.nodeId],
    ] as const) {
      const meta = attachedMetadata(end.host, end.resource)
      if (meta !== undefined) Object.assign(peerMetadata(meta, id), { dirtyKib: different, verified: end === source })
    }
  }
  for (const end of [source, target]) finish(world, end)
}

/** A resync whose two ends lost each other; one that waited for it goes on. */
export function resumeWaiting(world: World, target: { host: End['host']; resource: End['resource'] }): void {
  if (peersOf(target.resource).some((peer) => peer.replication === 'SyncTarget')) return
  for (const peer of peersOf(target.resource)) {
    if (peer.replication !== 'PausedSyncT') continue
    const other = liveEnd(world.state, { ...target, peer })
    if (other === undefined) continue
    setRunning(other.peer, peer, true)
    return
  }
}
