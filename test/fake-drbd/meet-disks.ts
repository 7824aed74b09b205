/** What two disks do when their connection or one of them comes up: whose data is newer, and what follows. */
import { type Comparison, clearBitmap, compareGenerations } from './generation.ts'
import { startResync } from './resync.ts'
import { attachedMetadata, type Metadata, peersOf, usableKib } from './state.ts'
import { allEnds, connectionLabel, type End, hasDisk, label, liveEnd, primaryBeside, seesPrimaryOnlyThroughOthers, type World } from './world.ts'

/** Outdated disks beside one that is up to date: the same generation is the same data, an older one is copied. */
export function healOutdated(world: World): void {
  for (const end of allEnds(world.state)) {
    if (end.resource.device?.disk !== 'Outdated') continue
    const other = liveEnd(world.state, end)
    if (other === undefined || other.resource.device?.disk !== 'UpToDate' || end.peer.replication !== 'Established') continue
    if (seesPrimaryOnlyThroughOthers(world.state, end)) continue
    const [mine, theirs] = [attachedMetadata(end.host, end.resource), attachedMetadata(other.host, other.resource)]
    if (mine === undefined || theirs === undefined) continue
    if (mine.current === theirs.current) catchUp(end, other)
    else if (compare(end, mine, other, theirs).strategy.startsWith('target'))
      startResync(world, other, end, compare(end, mine, other, theirs).strategy.endsWith('set-bitmap'))
  }
}

/** A disk whose source is gone goes on being filled by another one that is up to date, also by one that it was to fill itself before that was. */
export function fillOrphans(world: World): void {
  for (const end of allEnds(world.state)) {
    const { resource, peer } = end
    if (resource.device?.disk !== 'Inconsistent' || peersOf(resource).some(({ replication }) => replication === 'SyncTarget')) continue
    const other = liveEnd(world.state, end)
    if (other?.resource.device?.disk !== 'UpToDate' || (peer.replication !== 'Established' && peer.replication !== 'PausedSyncS')) continue
    startResync(world, other, end, true)
  }
}

/** A disk was attached while the connection stands: the two disks are compared as at a handshake. */
export function meetDisks(world: World, a: End, b: End): void {
  const plan = compareDisks(world, a, b)
  if (plan === 'refused') standAlone(world, [a, b])
  if (plan === 'refused' || plan === 'raced') return
  plan?.()
  catchUp(a, b)
}

/** A disk that was outdated by an orderly leave has the same generation as one that is up to date: it is, too. */
export function catchUp(a: End, b: End): void {
  for (const [mine, theirs] of [
    [a, b],
    [b, a],
  ] as const) {
    const meta = attachedMetadata(mine.host, mine.resource)
    const other = attachedMetadata(theirs.host, theirs.resource)
    const device = mine.resource.device
    if (meta === undefined || device?.disk !== 'Outdated' || theirs.resource.device?.disk !== 'UpToDate' || meta.current !== other?.current) continue
    device.disk = 'UpToDate'
    meta.upToDate = true
  }
}

const compare = (a: End, metaA: Metadata, b: End, metaB: Metadata): Comparison =>
  compareGenerations(
    { nodeId: a.resource.nodeId, meta: metaA, device: a.resource.device as NonNullable<typeof a.resource.device> },
    { nodeId: b.resource.nodeId, meta: metaB, device: b.resource.device as NonNullable<typeof b.resource.device> },
  )

export function standAlone(world: World, ends: readonly End[]): void {
  for (const { peer } of ends) peer.state = 'Disconnecting'
  world.observe()
  for (const end of ends) {
    end.peer.state = 'StandAlone'
    delete end.peer.connectAt
    world.log(end.host, `${connectionLabel(end.resource, end.peer)}: conn( Disconnecting -> StandAlone ) [disconnected]`)
  }
}

/** What the two disks do once connected; 'refused' where they cannot be; undefined where one side has none. */
export function compareDisks(world: World, a: End, b: End): (() => void) | 'refused' | 'raced' | undefined {
  const [metaA, metaB] = [attachedMetadata(a.host, a.resource), attachedMetadata(b.host, b.resource)]
  if (metaA === undefined || metaB === undefined || !hasDisk(a.resource.device) || !hasDisk(b.resource.device)) return undefined
  if (!agreeOnSize(world, a, metaA, b, metaB)) return 'refused'
  const seen = compare(a, metaA, b, metaB)
  const seenByPeer = compare(b, metaB, a, metaA)
  world.log(a.host, `${label(a.resource, a.peer)}: uuid_compare()=${seen.strategy} by rule=${seen.rule}`)
  world.log(b.host, `${label(b.resource, b.peer)}: uuid_compare()=${seenByPeer.strategy} by rule=${seenByPeer.rule}`)
  if (seen.strategy === 'unrelated-data') {
    for (const end of [a, b]) world.log(end.host, `${label(end.resource, end.peer)}: Unrelated data, aborting!`)
    return 'refused'
  }
  if (seen.strategy === 'split-brain-auto-recover') return splitBrain(world, a, b)
  if (seen.strategy === 'no-sync') return () => settle(metaA, a, metaB, b)
  const source = seen.strategy.startsWith('source') ? a : b
  const target = source === a ? b : a
  if (target.resource.role === 'Primary' && target.peer.state !== 'Connected') {
    world.log(target.host, `${label(target.resource, target.peer)}: I shall become SyncTarget, but I am primary!`)
    return 'refused'
  }
  if (world.state.settings.raceOnReturn && target.resource.device?.crashedPrimary === true && isTargetElsewhere(target)) {
    race(world, source, target)
    return 'raced'
  }
  return () => startResync(world, source, target, seen.strategy.endsWith('set-bitmap'))
}

const isTargetElsewhere = (end: End): boolean => Object.values(end.resource.peers).some((peer) => peer !== end.peer && peer.replication === 'SyncTarget')

/** Same generation on both sides: nothing is out of sync. */
function settle(metaA: Metadata, a: End, metaB: Metadata, b: End): void {
  if (metaA.consistent && metaB.consistent) {
    clearBitmap(metaA, b.resource.nodeId)
    clearBitmap(metaB, a.resource.nodeId)
  }
  for (const end of [a, b]) if (end.resource.device !== undefined) end.resource.device.crashedPrimary = false
}

/** A new pair takes the smaller size; a disk that is too small for data that exists already is refused. */
function agreeOnSize(world: World, a: End, metaA: Metadata, b: End, metaB: Metadata): boolean {
  for (const [mine, theirs, theirMeta] of [
    [a, b, metaB],
    [b, a, metaA],
  ] as const) {
    const backing = theirs.resource.device?.backing
    const room = usableKib(theirs.host.disks[backing ?? '']?.sizeKib ?? 0, theirMeta.maxPeers)
    const size = mine.resource.device?.sizeKib ?? 0
    const meta = mine === a ? metaA : metaB
    if (meta.consistent && room < size) {
      world.log(mine.host, `${label(mine.resource, mine.peer)}: The peer's disk size is too small! (${room * 2} < ${size * 2} sectors)`)
      return false
    }
  }
  const size = metaA.consistent && metaA.sizeKib > 0 ? metaA.sizeKib : metaB.consistent && metaB.sizeKib > 0 ? metaB.sizeKib : undefined
  const agreed = size ?? Math.min(a.resource.device?.sizeKib ?? 0, b.resource.device?.sizeKib ?? 0)
  for (const [end, meta] of [
    [a, metaA],
    [b, metaB],
  ] as const) {
    if (end.resource.device !== undefined) end.resource.device.sizeKib = agreed
    meta.sizeKib = agreed
  }
  return true
}

function splitBrain(world: World, a: End, b: End): (() => void) | 'refused' {
  const victim = a.peer.discardMyData ? a : b.peer.discardMyData ? b : undefined
  const unstable = (end: End, other: End): boolean => end.resource.role === 'Secondary' && primaryBeside(world.state, end, other.host.name) !== undefined
  if (unstable(a, b) || unstable(b, a)) {
    for (const end of [a, b]) world.log(end.host, `${label(end.resource, end.peer)}: Ignore Split-Brain, for now, at least one side unstable`)
    const stable = [a, b].filter((end) => !unstable(end, end === a ? b : a))
    return () => {
      for (const end of stable) outdate(end)
    }
  }
  if (victim !== undefined) {
    const winner = victim === a ? b : a
    world.log(victim.host, `${label(victim.resource, victim.peer)}: Split-Brain detected, manually solved. Sync from peer node`)
    world.log(winner.host, `${label(winner.resource, winner.peer)}: Split-Brain detected, manually solved. Sync from this node`)
    return () => startResync(world, winner, victim, false)
  }
  for (const end of [a, b]) {
    world.helper(end.host, end.resource, 'initial-split-brain', end.peer)
    world.log(end.host, `${label(end.resource, end.peer)}: helper command: /sbin/drbdadm initial-split-brain`)
    world.log(end.host, `${label(end.resource, end.peer)}: Split-Brain detected but unresolved, dropping connection!`)
    world.helper(end.host, end.resource, 'split-brain', end.peer)
    world.log(end.host, `${label(end.resource, end.peer)}: helper command: /sbin/drbdadm split-brain`)
  }
  return 'refused'
}

export function outdate(end: { host: End['host']; resource: End['resource'] }): void {
  const { device } = end.resource
  const meta = attachedMetadata(end.host, end.resource)
  if (device === undefined || meta === undefined || end.resource.role === 'Primary' || (device.disk !== 'UpToDate' && device.disk !== 'Consistent')) return
  device.disk = 'Outdated'
  delete device.consistentUntil
  meta.upToDate = false
}

/** The race of a returning Primary: the second peer's kernel refuses its own resync and leaves; the returner goes on trying. */
function race(world: World, survivor: End, returner: End): void {
  world.state.settings.raceOnReturn = false
  world.log(survivor.host, `drbd ${survivor.resource.name}: State change failed: Can not start OV/resync since it is already active (-8)`)
  world.log(survivor.host, `${label(survivor.resource, survivor.peer)}: Failed: repl( SyncSource -> WFBitMapS ) resync-susp( no -> peer ) [peer-state]`)
  world.log(survivor.host, `${connectionLabel(survivor.resource, survivor.peer)}: conn( Connected -> Disconnecting ) peer( Secondary -> Unknown )`)
  survivor.peer.disk = 'Inconsistent'
  standAlone(world, [survivor])
  returner.peer.state = 'NetworkFailure'
  world.observe()
  returner.peer.state = 'Connecting'
  delete returner.peer.connectAt
}
