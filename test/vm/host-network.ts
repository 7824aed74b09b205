/** A switch in a network namespace of its own, with a tap for each host. Behind its gateway is nothing, so no packet leaves and none comes in. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { run } from '../../coordinator/providers/command.ts'

export interface HostNetwork {
  readonly namespace: string
  readonly gateway: string
  readonly tapOf: (index: number) => string
  remove(): void
}

const prefix = 'hive-vm-'
const place = '/run/netns'

/** `gateway`: an address with its prefix length. */
export async function makeHostNetwork(gateway: string, hosts: number): Promise<HostNetwork> {
  removeOfTheDead()
  const namespace = `${prefix}${process.pid}`
  const tapOf = (index: number): string => `tap${index}`
  const remove = (): void => {
    process.off('exit', remove)
    removeNamespace(namespace)
  }
  process.on('exit', remove)
  await run(['ip', 'netns', 'add', namespace])
  const commands = [
    'link set lo up',
    'link add br0 type bridge',
    `address add ${gateway} dev br0`,
    'link set br0 up',
    ...Array.from({ length: hosts }, (_, index) => [`tuntap add ${tapOf(index)} mode tap`, `link set ${tapOf(index)} master br0 up`]).flat(),
    'route add unreachable default',
  ]
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` })
  // With forwarding, and without a limit, every sender to elsewhere hears "unreachable" at once; else it would wait.
  await run(['nsenter', `--net=${place}/${namespace}`, 'sh', '-c', 'cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >icmp_ratelimit'])
  return { namespace, gateway: gateway.split('/')[0] ?? '', tapOf, remove }
}

/** Of tests that were killed: their names end with the process that made them. */
function removeOfTheDead(): void {
  for (const name of existsSync(place) ? readdirSync(place) : []) {
    const pid = new RegExp(`^${prefix}(\\d+)$`).exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeNamespace(name)
  }
}

function removeNamespace(name: string): void {
  if (existsSync(`${place}/${name}`)) execFileSync('ip', ['netns', 'delete', name], { stdio: ['ignore', 'ignore', 'inherit'] })
}
