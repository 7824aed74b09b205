/** A disk joins its device, and devices grow. */
import type { Call } from './commands.ts'
import { meetDisks } from './meet-disks.ts'
import { done, failure, type Result } from './results.ts'
import { startResync } from './resync.ts'
import { attachedMetadata, type Metadata, type Options, peerMetadata, peersOf, type Resource, usableKib } from './state.ts'
import { hasDisk, liveEnd } from './world.ts'

export function attach(call: Call, resource: Resource, words: readonly string[], options: Options): Result {
  const { device } = resource
  const [backing = '', , metaDisk = 'internal'] = words
  const minor = String(device?.minor ?? '')
  if (device === undefined) return failure(minor, 127)
  if (device.disk !== 'Diskless') return failure(minor, 124)
  const disk = call.host.disks[backing]
  if (disk === undefined || disk.broken) return failure(minor, 104)
  const { meta } = disk
  if (meta === undefined) return failure(minor, 119)
  if (meta.nodeId !== -1 && meta.nodeId !== resource.nodeId)
    return failure(minor, 119, `ambiguous node id: meta-data: ${meta.nodeId}, config: ${resource.nodeId}`)
  meta.nodeId = resource.nodeId
  Object.assign(device, { backing, metaDisk, diskOptions: options, client: false, hadDisk: true, crashedPrimary: meta.primary })
  device.sizeKib = meta.sizeKib > 0 ? meta.sizeKib : usableKib(disk.sizeKib, meta.maxPeers)
  if (meta.inUse) {
    // what the activity log covered may differ from what the peers have
    for (const peer of peersOf(resource)) {
      const known = peerMetadata(meta, peer.nodeId)
      known.dirtyKib = Math.min(device.sizeKib, known.dirtyKib + call.world.state.settings.activityLogKib)
    }
  }
  meta.primary = resource.role === 'Primary'
  meta.inUse = true
  device.disk = !meta.consistent ? 'Inconsistent' : meta.upToDate ? 'UpToDate' : 'Outdated'
  for (const peer of peersOf(resource)) {
    const end = { host: call.host, resource, peer }
    const other = liveEnd(call.world.state, end)
    if (other !== undefined && hasDisk(other.resource.device)) meetDisks(call.world, end, other)
  }
  return done()
}

/** All disks must have grown; the smallest decides. The new part is copied from this node unless it is said to be clean. */
export function resize(call: Call, resource: Resource, given: Set<string>): Result {
  const { device } = resource
  const meta = attachedMetadata(call.host, resource)
  if (device === undefined || meta === undefined) return failure(String(device?.minor ?? ''), 138)
  const ends = peersOf(resource).map((peer) => ({ host: call.host, resource, peer }))
  const others = ends.map((end) => ({ end, other: liveEnd(call.world.state, end) }))
  const allThere = others.every(({ end, other }) => other !== undefined || end.peer.client || given.has('assume-peer-has-space'))
  const copies = [{ host: call.host, resource, meta }, ...others.flatMap(({ other }) => copyOf(other))]
  const sizes = copies.map((copy) => usableKib(copy.host.disks[copy.resource.device?.backing ?? '']?.sizeKib ?? 0, copy.meta.maxPeers))
  const size = Math.min(...sizes)
  const grown = size - device.sizeKib
  if (!allThere || grown <= 0) return done()
  for (const copy of copies) {
    if (copy.resource.device !== undefined) copy.resource.device.sizeKib = size
    copy.meta.sizeKib = size
  }
  if (!given.has('assume-clean')) copyNewPart(call, resource, copies, grown)
  return done()
}

/** The Primary's new part is the data, or this node's where there is none. */
function copyNewPart(call: Call, resource: Resource, copies: readonly ReturnType<typeof copyOf>[number][], grown: number): void {
  const source = copies.find((copy) => copy.resource.role === 'Primary') ?? copies.find((copy) => copy.resource === resource)
  if (source === undefined) return
  for (const peer of peersOf(source.resource)) {
    const end = { host: source.host, resource: source.resource, peer }
    const other = liveEnd(call.world.state, end)
    if (other === undefined || !hasDisk(other.resource.device) || other.resource.device.disk !== 'UpToDate') continue
    peerMetadata(source.meta, peer.nodeId).dirtyKib = grown
    startResync(call.world, end, other, false)
  }
}

const copyOf = (other: ReturnType<typeof liveEnd>): { host: Call['host']; resource: Resource; meta: Metadata }[] => {
  if (other === undefined) return []
  const meta = attachedMetadata(other.host, other.resource)
  return meta === undefined ? [] : [{ host: other.host, resource: other.resource, meta }]
}
