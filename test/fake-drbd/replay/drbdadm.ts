/**
 * What the recorded drbdadm told the kernel, so that a recording can be replayed where no drbd-utils are installed. For replays only: on hosts the
 * real drbdadm runs in front of the fake.
 */
import { DISK_OPTIONS, NET_OPTIONS, PEER_DEVICE_OPTIONS, RESOURCE_OPTIONS, shownOptions, takeOptions } from '../options.ts'
import type { HostState, Options, Peer } from '../state.ts'
import type { ConfiguredHost, ConfiguredResource, OptionList } from './resource-file.ts'

const words = (options: OptionList): string[] => options.map(([name, value]) => `--${name}=${value}`)
const only = (options: OptionList, kinds: readonly { name: string }[]): OptionList => options.filter(([name]) => kinds.some((kind) => kind.name === name))

/** Which host of the file a machine is: its name, with or without the domain. */
export const ownHost = (resource: ConfiguredResource, machine: string): ConfiguredHost | undefined =>
  resource.hosts.find((host) => host.name === machine || host.name.split('.')[0] === machine)

const netWords = (resource: ConfiguredResource, peer: ConfiguredHost): string[] => [`--_name=${peer.name}`, ...words(resource.net).reverse()]
const peerDeviceOptions = (resource: ConfiguredResource, peer: ConfiguredHost): OptionList => [
  ...only(resource.disk, PEER_DEVICE_OPTIONS),
  ...(peer.disk === 'none' ? ([['bitmap', 'no']] as const) : []),
]

/** The drbdsetup and drbdmeta commands that bring the kernel from what it holds to what the file says: `drbdadm -d adjust`. */
export function adjustCommands(resource: ConfiguredResource, machine: string, host: HostState): string[][] {
  const own = ownHost(resource, machine)
  if (own === undefined) return []
  const peers = resource.hosts.filter((peer) => peer !== own)
  const running = host.resources[resource.name]
  const name = resource.name
  const commands: string[][] = []
  const late: string[][] = []
  const resourceWords = words(resource.options)
  if (running === undefined) commands.push(['drbdsetup', 'new-resource', name, String(own.nodeId), ...resourceWords])
  else if (differs(running.options, resourceWords, RESOURCE_OPTIONS)) commands.push(['drbdsetup', 'resource-options', name, '--set-defaults', ...resourceWords])
  const device = running?.device
  if (device === undefined) commands.push(['drbdsetup', 'new-minor', name, String(own.minor), '0', ...(own.disk === 'none' ? ['--diskless'] : [])])
  else if (own.disk === 'none' && device.backing !== undefined) commands.push(['drbdsetup', 'detach', '--diskless', String(own.minor)])
  const paths: string[][] = []
  const peerDevices: string[][] = []
  for (const peer of peers) {
    const known: Peer | undefined = running?.peers[peer.nodeId]
    const id = String(peer.nodeId)
    const net = netWords(resource, peer)
    if (known === undefined) commands.push(['drbdsetup', 'new-peer', name, id, ...net])
    else if (differs(known.netOptions, net, NET_OPTIONS)) commands.push(['drbdsetup', 'net-options', name, id, '--set-defaults', ...net])
    if (known?.path === undefined) paths.push(['drbdsetup', 'new-path', name, id, own.address, peer.address])
    const wanted = words(peerDeviceOptions(resource, peer))
    const isNew = known === undefined || device === undefined
    if (isNew && wanted.length > 0) peerDevices.push(['drbdsetup', 'peer-device-options', name, id, '0', ...wanted])
    if (!isNew && differs(known.deviceOptions, wanted, PEER_DEVICE_OPTIONS))
      peerDevices.push(['drbdsetup', 'peer-device-options', name, id, '0', '--set-defaults', ...wanted])
    if (known === undefined || known.state === 'StandAlone') late.push(['drbdsetup', 'connect', name, id])
  }
  const attach = own.disk !== 'none' && device?.backing === undefined ? attachCommands(resource, own) : []
  return [...commands, ...paths, ...peerDevices, ...attach, ...late]
}

export const attachCommands = (resource: ConfiguredResource, own: ConfiguredHost): string[][] => [
  ['drbdmeta', String(own.minor), 'v09', own.disk, 'internal', 'apply-al'],
  ['drbdsetup', 'attach', String(own.minor), own.disk, own.disk, 'internal', ...words(only(resource.disk, DISK_OPTIONS))],
]

/** Do the kernel's options differ from these words in anything but defaults? */
function differs(running: Options, wanted: readonly string[], kinds: Parameters<typeof takeOptions>[1]): boolean {
  const shown = (options: Options): string =>
    shownOptions(options, kinds, false)
      .map((option) => option.line)
      .join()
  return shown(running) !== shown(takeOptions(wanted, kinds).options)
}

/** Commands that name a resource or one of its peers, as `drbdadm COMMAND RESOURCE[:PEER]` passes them on. */
export function passedOn(
  command: string,
  flags: readonly string[],
  resource: ConfiguredResource,
  machine: string,
  peerName: string | undefined,
): string[][] | undefined {
  const own = ownHost(resource, machine)
  if (own === undefined) return undefined
  const peers = resource.hosts.filter((peer) => peer !== own && (peerName === undefined || peer.name === peerName))
  const minor = String(own.minor)
  switch (command) {
    case 'status':
    case 'role':
    case 'down':
    case 'primary':
    case 'secondary':
      return [['drbdsetup', command, resource.name, ...flags]]
    case 'connect':
    case 'disconnect':
    case 'del-peer':
    case 'forget-peer':
    case 'cstate':
      return peers.map((peer) => ['drbdsetup', command, resource.name, String(peer.nodeId), ...flags])
    case 'verify':
      return peers.map((peer) => ['drbdsetup', command, resource.name, String(peer.nodeId), '0', ...flags])
    case 'detach':
    case 'dstate':
    case 'invalidate':
    case 'new-current-uuid':
      return [['drbdsetup', command, minor, ...flags]]
    case 'resize':
      return [
        ['drbdsetup', 'resize', minor, ...flags],
        ['drbdsetup', 'check-resize', minor],
      ]
    case 'attach':
      return attachCommands(resource, own)
    default:
      return undefined
  }
}
