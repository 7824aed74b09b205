/** `drbdsetup get-gi` and `show-gi`: the data generations that this node holds for a peer, with their flags. */
import { attachedMetadata, type HostState, NO_GENERATION, type Peer, peerMetadata, type Resource } from './state.ts'

const LEGEND = `
       +--<  Current data generation UUID  >-
       |               +--<  Bitmap's base data generation UUID  >-
       |               |                 +--<  younger history UUID  >-
       |               |                 |         +-<  older history  >-
       V               V                 V         V
`

export function gi(host: HostState, resource: Resource, peer: Peer, explained: boolean): string {
  const meta = attachedMetadata(host, resource)
  if (meta === undefined) return ''
  const known = peerMetadata(meta, peer.nodeId)
  const generations = [meta.current, known.bitmap, meta.history[0] ?? NO_GENERATION, meta.history[1] ?? NO_GENERATION]
  const flags = [
    meta.consistent,
    meta.upToDate,
    meta.primary,
    resource.device?.crashedPrimary === true,
    false,
    false,
    false,
    peer.state === 'Connected',
    known.outdated,
    false,
    false,
    !peer.client,
  ]
  const line = `${generations.join(':')}:${flags.map((flag) => (flag ? '1' : '0')).join(':')}\n`
  return explained ? `${LEGEND}${line}` : line
}
