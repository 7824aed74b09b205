/** What follows at once from any change: connected peers know each other's state, and each node knows whether it has quorum. */

import { outdate } from './meet-disks.ts'
import { quorumOf } from './quorum.ts'
import { attachedMetadata, peerMetadata, peersOf } from './state.ts'
import { allEnds, hasDisk, label, liveEnd, seesPrimaryOnlyThroughOthers, type World } from './world.ts'

export function refresh(world: World): void {
  const { state } = world
  for (const end of allEnds(state)) {
    const other = liveEnd(state, end)
    if (other === undefined) continue
    const { peer } = end
    const device = other.resource.device
    peer.role = other.resource.role
    peer.disk = device?.disk ?? 'Diskless'
    peer.client = device?.client ?? false
    peer.leftInOrder = false
    const meta = attachedMetadata(end.host, end.resource)
    if (meta !== undefined && hasDisk(device)) peerMetadata(meta, peer.nodeId).outdated = false
    if (end.resource.device !== undefined && end.resource.device.disk === 'Diskless' && device !== undefined && device.sizeKib > 0)
      end.resource.device.sizeKib = device.sizeKib
  }
  outdateWeak(world)
  for (const host of Object.values(state.hosts)) {
    if (!host.powered) continue
    for (const resource of Object.values(host.resources)) {
      const { device } = resource
      if (device === undefined) continue
      const { has } = quorumOf(host, resource)
      if (device.quorum && !has && Object.keys(resource.peers).length > 0) {
        world.log(host, `${label(resource)}: quorum( yes -> no )`)
        if (resource.role === 'Primary') world.helper(host, resource, 'quorum-lost')
      }
      device.quorum = has
    }
  }
  world.observe()
}

/** A node that sees a Primary only through others does not get its writes: it is outdated. */
function outdateWeak(world: World): void {
  const { state } = world
  for (const host of Object.values(state.hosts)) {
    for (const resource of Object.values(host.resources)) {
      const { device } = resource
      if (resource.role === 'Primary' || (device?.disk !== 'UpToDate' && device?.disk !== 'Consistent')) continue
      if (!seesPrimaryOnlyThroughOthers(state, { host, resource })) continue
      outdate({ host, resource })
      for (const peer of peersOf(resource)) {
        const other = liveEnd(state, { host, resource, peer })
        if (other !== undefined) other.peer.disk = 'Outdated'
      }
    }
  }
}
