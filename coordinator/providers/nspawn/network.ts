/**
 * The network of a stage: a bridge in a namespace of its own, one more namespace with a cable for each host. The bridge
 * holds the gateways; behind them is nothing (`unreachable`), so no packet leaves and none comes in.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Address4 } from 'ip-address'
import { run } from '../command.ts'
import { type HostFolder, hostFolder, type StageFolder } from './stage-folder.ts'

export const bridge = 'br0'

export interface NetworkHost {
  readonly shortName: string
  readonly address: string
  readonly prefixLength: number
}

const namespacePath = (name: string): string => join('/run/netns', name)
export const namespaceExists = (name: string): boolean => existsSync(namespacePath(name))

const ip = async (commands: readonly string[]): Promise<void> => {
  if (commands.length > 0) await run(['ip', '-batch', '-'], { input: `${commands.join('\n')}\n`, timeout: 20_000 })
}
const ipIn = async (namespace: string, commands: readonly string[]): Promise<void> => {
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n`, timeout: 20_000 })
}

/** First address of the host's network, or the last one where a host has the first. */
export function gatewayOf(host: NetworkHost, all: readonly NetworkHost[]): string {
  const network = new Address4(`${host.address}/${host.prefixLength}`)
  const first = network.startAddressExclusive().correctForm()
  return all.some(({ address }) => address === first) ? network.endAddressExclusive().correctForm() : first
}

/** Makes the switch with its gateways, or adds what it lacks. */
export async function ensureSwitch(stage: StageFolder, hosts: readonly NetworkHost[]): Promise<void> {
  const name = stage.switchNamespace
  if (!namespaceExists(name)) await ip([`netns add ${name}`])
  const { stdout } = await run(['ip', '-n', name, '-json', 'address', 'show'])
  const links = JSON.parse(stdout) as readonly { ifname?: string; addr_info?: readonly { local: string; prefixlen: number }[] }[]
  const found = links.find(({ ifname }) => ifname === bridge)
  const have = new Set((found?.addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`))
  const wanted = [...new Set(hosts.map((host) => `${gatewayOf(host, hosts)}/${host.prefixLength}`))]
  await ipIn(name, [
    'link set lo up',
    ...(found === undefined ? [`link add ${bridge} type bridge`] : []),
    `link set ${bridge} up`,
    ...wanted.filter((address) => !have.has(address)).map((address) => `address add ${address} dev ${bridge}`),
    'route replace unreachable default',
  ])
  // Without forwarding a packet to elsewhere vanishes and the sender waits; with it, it hears "unreachable" at once.
  await run(['nsenter', `--net=${namespacePath(name)}`, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
}

/** A fresh namespace for the host, as after power-on: nothing of docker's devices or rules of the last run is left. */
export async function connectHost(stage: StageFolder, host: NetworkHost, all: readonly NetworkHost[]): Promise<void> {
  const { namespace, switchPort } = hostFolder(stage, host.shortName)
  await disconnectHost(stage, hostFolder(stage, host.shortName))
  await ip([`netns add ${namespace}`])
  await ipIn(stage.switchNamespace, [`link add ${switchPort} type veth peer name eth0 netns ${namespace}`, `link set ${switchPort} master ${bridge} up`])
  await ipIn(namespace, [
    'link set lo up',
    `address add ${host.address}/${host.prefixLength} broadcast + dev eth0`,
    'link set eth0 up',
    `route add default via ${gatewayOf(host, all)}`,
  ])
}

/** Removes the host's namespace and cable; nothing where there is none. */
export async function disconnectHost(stage: StageFolder, host: HostFolder): Promise<void> {
  if (namespaceExists(stage.switchNamespace)) await run(['ip', '-n', stage.switchNamespace, 'link', 'delete', host.switchPort], { okCodes: [0, 1, 255] })
  await deleteNamespace(host.namespace)
}

/** Removes the switch and every namespace of the stage. */
export async function removeNetwork(stage: StageFolder): Promise<void> {
  const prefix = `${stage.switchNamespace}-`
  const all = existsSync('/run/netns') ? readdirSync('/run/netns') : []
  for (const name of all.filter((candidate) => candidate.startsWith(prefix))) await deleteNamespace(name)
  await deleteNamespace(stage.switchNamespace)
}

async function deleteNamespace(name: string): Promise<void> {
  if (!namespaceExists(name)) return
  await run(['ip', 'netns', 'delete', name], { okCodes: [0, 1] })
}

/** Pulls or plugs the host's cable at the switch. */
export async function setCable(stage: StageFolder, host: HostFolder, state: 'up' | 'down'): Promise<void> {
  await ipIn(stage.switchNamespace, [`link set ${host.switchPort} ${state}`])
}

/**
 * Whether something listens on a TCP port inside the namespace of a process: read from the kernel's table, so that it can
 * be asked from any namespace and sends nothing.
 */
export function listens(tables: readonly string[], port: number): boolean {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return tables.some((table) => new RegExp(`^\\s*\\d+: [0-9A-F]+:${wanted} [0-9A-F]+:0000 0A `, 'm').test(table))
}
