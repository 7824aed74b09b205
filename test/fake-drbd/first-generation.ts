/** `new-current-uuid`: with --clear-bitmap on disks that were just created, the data is declared equal without a sync. */
import type { Call } from './commands.ts'
import { clearBitmap, nextGeneration, startGeneration } from './generation.ts'
import { done, failure, type Result, refused } from './results.ts'
import { attachedMetadata, JUST_CREATED, type Metadata, peersOf, type Resource } from './state.ts'
import { absentVoters, liveEnd, type Member } from './world.ts'

export function newCurrentUuid(call: Call, resource: Resource, clear: boolean): Result {
  const minor = String(resource.device?.minor ?? '')
  const own = attachedMetadata(call.host, resource)
  if (own === undefined) return failure(minor, 138)
  const { state } = call.world
  const connected = peersOf(resource).flatMap((peer) => liveEnd(state, { host: call.host, resource, peer }) ?? [])
  const first = clear && own.current === JUST_CREATED
  if (!first && connected.length > 0) return failure(minor, 151)
  if (resource.role === 'Primary') return refused(minor, { rv: -12, text: 'Device is held open by someone' })
  const current = nextGeneration(state)
  if (!first) {
    startGeneration(own, current, clear ? [] : absentVoters(resource))
    return done()
  }
  const copies: (Member & { meta: Metadata })[] = [{ host: call.host, resource, meta: own }]
  for (const other of connected) {
    const meta = attachedMetadata(other.host, other.resource)
    if (meta?.current === JUST_CREATED) copies.push({ host: other.host, resource: other.resource, meta })
  }
  for (const copy of copies) {
    copy.meta.current = current
    Object.assign(copy.meta, { consistent: true, upToDate: true, sizeKib: copy.resource.device?.sizeKib ?? 0 })
    if (copy.resource.device !== undefined) copy.resource.device.disk = 'UpToDate'
    for (const other of copies) if (other !== copy) clearBitmap(copy.meta, other.resource.nodeId)
  }
  return done()
}
