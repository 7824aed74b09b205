/** `drbdsetup show`: the configuration that the kernel holds; drbdadm reads the text to see what must be adjusted. */
import { DISK_OPTIONS, NET_OPTIONS, PEER_DEVICE_OPTIONS, RESOURCE_OPTIONS, type ShownOption, shownOptions } from './options.ts'
import { type Path, type Peer, peersOf, type Resource } from './state.ts'

const pad = (depth: number): string => '    '.repeat(depth)
const block = (depth: number, name: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`${pad(depth)}${name} {`, ...lines, `${pad(depth)}}`]
const lines = (depth: number, options: readonly ShownOption[]): string[] => options.map((option) => `${pad(depth)}${option.line}`)

export function showText(resources: readonly Resource[], all: boolean): string {
  if (resources.length === 0) return '# No currently configured DRBD found.\n'
  return resources.map((resource) => `${one(resource, all).join('\n')}\n\n`).join('')
}

function one(resource: Resource, all: boolean): string[] {
  const { device } = resource
  const volume =
    device === undefined
      ? []
      : block(2, `volume ${device.volume}`, [
          `${pad(3)}device\t\t\tminor ${device.minor};`,
          ...(device.backing !== undefined
            ? [
                `${pad(3)}disk\t\t\t"${device.backing}";`,
                `${pad(3)}meta-disk\t\t\t${device.metaDisk};`,
                ...block(3, 'disk', lines(4, shownOptions(device.diskOptions, DISK_OPTIONS, all))),
              ]
            : device.client
              ? [`${pad(3)}disk\t\t\tnone;`]
              : []),
        ])
  return [
    `resource "${resource.name}" {`,
    ...block(1, 'options', lines(2, shownOptions(resource.options, RESOURCE_OPTIONS, all))),
    ...block(1, '_this_host', [`${pad(2)}node-id\t\t\t${resource.nodeId};`, ...volume]),
    ...peersOf(resource).flatMap((peer) => connection(peer, device?.volume, all)),
    '}',
  ]
}

/** `ipv4:10.0.0.1:7000` is printed with a blank. */
const address = (text: string): string => text.replace(':', ' ')

function connection(peer: Peer, volume: number | undefined, all: boolean): string[] {
  const path =
    peer.path === undefined ? [] : block(2, 'path', [`${pad(3)}_this_host ${address(peer.path.local)};`, `${pad(3)}_remote_host ${address(peer.path.remote)};`])
  const disk = block(3, 'disk', lines(4, shownOptions(peer.deviceOptions, PEER_DEVICE_OPTIONS, all)))
  return block(1, 'connection', [
    `${pad(2)}_peer_node_id ${peer.nodeId};`,
    ...path,
    ...(peer.state === 'StandAlone' ? [`${pad(2)}_is_standalone;`] : []),
    ...block(2, 'net', lines(3, shownOptions(peer.netOptions, NET_OPTIONS, all))),
    ...(disk.length === 0 || volume === undefined ? [] : block(2, `volume ${volume}`, disk)),
  ])
}

type Json = { [key: string]: Json } | Json[] | string | number | boolean

const asJson = (options: readonly ShownOption[]): Json => Object.fromEntries(options.map((option) => [option.name, option.value]))

export function showJson(resources: readonly Resource[]): string {
  return `${JSON.stringify(resources.map(jsonOf), undefined, 4)}\n`
}

function jsonOf(resource: Resource): Json {
  const { device } = resource
  const diskOptions = device === undefined ? {} : asJson(shownOptions(device.diskOptions, DISK_OPTIONS, false))
  const disk =
    device?.backing !== undefined
      ? { 'backing-disk': device.backing, 'meta-disk': device.metaDisk ?? 'internal' }
      : device?.client === true
        ? { disk: 'none' }
        : {}
  const volume =
    device === undefined
      ? []
      : [{ volume_nr: device.volume, device_minor: device.minor, ...disk, ...(Object.keys(diskOptions).length === 0 ? {} : { disk: diskOptions }) }]
  const options = asJson(shownOptions(resource.options, RESOURCE_OPTIONS, false))
  return {
    resource: resource.name,
    ...(Object.keys(options).length === 0 ? {} : { options }),
    _this_host: { 'node-id': resource.nodeId, volumes: volume as Json },
    ...(peersOf(resource).length === 0 ? {} : { connections: peersOf(resource).map((peer) => jsonConnection(peer, device?.volume)) }),
  }
}

function jsonConnection(peer: Peer, volume: number | undefined): Json {
  const disk = asJson(shownOptions(peer.deviceOptions, PEER_DEVICE_OPTIONS, false))
  return {
    ...(peer.path === undefined ? {} : { path: jsonPath(peer.path) }),
    ...(peer.state === 'StandAlone' ? { _is_standalone: true } : {}),
    net: asJson(shownOptions(peer.netOptions, NET_OPTIONS, false)),
    ...(Object.keys(disk as object).length === 0 || volume === undefined ? {} : { volumes: [{ volume_nr: volume, disk }] }),
    _peer_node_id: peer.nodeId,
  }
}

const jsonPath = (path: Path): Json => ({ _this_host: address(path.local), _remote_host: address(path.remote) })
