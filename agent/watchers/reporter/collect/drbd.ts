/** Mirrored volumes of this host. */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { HiveError } from '../../../../proto/errors.ts'
import type { Node } from '../../../adapters/docker/api-types.ts'
import { readStatus } from '../../../adapters/drbd/read-status.ts'
import { configured } from '../../../adapters/drbd/resource-store.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf, type Sample } from '../value.ts'

export const drbd: Collector = {
  name: 'mirrored volumes',
  every: 60,
  concerns: ({ swarmHost }) => swarmHost !== '',
  async collect({ round, signal }) {
    const names = await configured()
    if (names.length === 0) return [{ key: 'hive.drbd.discovery', value: discovered([]) }]
    // Whoever does not know which hosts are up takes them all to be.
    const [statuses, nodes] = await Promise.all([readStatus(signal), round.nodes().catch(unlessDefect)])
    return drbdSamples(names, statuses, nodes ?? [])
  },
}

const unlessDefect = (error: unknown): undefined => {
  if (error instanceof HiveError) return undefined
  throw error
}

/** `names`: resources that this host should have up. */
export function drbdSamples(names: readonly string[], statuses: readonly DrbdResourceStatus[], nodes: readonly Node[]): readonly Sample[] {
  const all = [...new Set([...names, ...statuses.map(({ name }) => name)])].sort()
  return [
    { key: 'hive.drbd.discovery', value: discovered(all.map((name) => ({ '{#RESOURCE}': name }))) },
    ...all.flatMap((name) => {
      const status = statuses.find((one) => one.name === name)
      return status === undefined ? [{ key: keyOf('hive.drbd.disk', name), value: 'Not up' }] : resourceSamples(status, nodes)
    }),
  ]
}

function resourceSamples({ name, role, devices, connections }: DrbdResourceStatus, nodes: readonly Node[]): readonly Sample[] {
  const of = (what: string, value: string | number): Sample => ({ key: keyOf(`hive.drbd.${what}`, name), value })
  const connected = connections.filter(({ state }) => state === 'Connected')
  const lost = connections.filter(({ state, name: peer }) => state !== 'Connected' && !isDown(peer, nodes))
  const outOfSync = connected.map(({ peerDevices }) => peerDevices.reduce((sum, { outOfSyncKib }) => sum + Number(outOfSyncKib), 0))
  return [
    of('disk', diskOf(devices)),
    of('role', role),
    of('quorum', devices.every(({ quorum }) => quorum) ? 1 : 0),
    of('connected', connected.length),
    of('peers.lost', lost.length),
    of('standalone', connections.filter(({ state }) => state === 'StandAlone').length),
    of('oos', Math.max(0, ...outOfSync) * 1024),
  ]
}

/** The worst of several; a host that holds no data on purpose says so. */
function diskOf(devices: DrbdResourceStatus['devices']): string {
  const states = devices.map(({ diskState, client }) => (client && diskState === 'Diskless' ? 'Diskless client' : diskState))
  return states.find((state) => state !== 'UpToDate' && state !== 'Diskless client') ?? states[0] ?? 'Diskless'
}

const firstLabel = (name: string): string => name.split('.')[0] ?? name

function isDown(peer: string, nodes: readonly Node[]): boolean {
  const known = nodes.filter(({ Description: { Hostname } }) => Hostname === peer || firstLabel(Hostname) === firstLabel(peer))
  return known.length > 0 && known.every(({ Status }) => Status.State !== 'ready')
}
