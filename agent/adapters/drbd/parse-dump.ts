/** The resource file as drbdadm understands it: `drbdadm dump RESOURCE`. Pure. */
import type { DrbdNode } from '#gen/hive/v1/steps_storage.ts'

export interface DumpedResource {
  readonly minor: number
  readonly port: number
  readonly nodes: readonly DrbdNode[]
  /** By host: what its `disk` says; none: diskless. */
  readonly disks: ReadonlyMap<string, string>
}

/** Resources with one volume and IPv4 or IPv6 addresses, as hive and hive-builder write them; parts that are missing are 0 or left out. */
export function parseDump(text: string): DumpedResource {
  const hosts = [...text.matchAll(/^\s+on (\S+) \{\n([\s\S]*?)^\s+address\s+(?:ipv4|ipv6)?\s*\[?([^\s\]]+?)\]?:(\d+);/gm)].map(
    ([, name = '', body = '', address = '', port = '']) => ({
      name,
      address,
      port: Number(port),
      nodeId: Number(/node-id (\d+);/.exec(body)?.[1] ?? -1),
      minor: Number(/minor (\d+);/.exec(body)?.[1] ?? 0),
      disk: /^\s+disk\s+(\S+);/m.exec(body)?.[1] ?? 'none',
    }),
  )
  return {
    minor: hosts[0]?.minor ?? 0,
    port: hosts[0]?.port ?? 0,
    nodes: hosts.map(({ name, address, nodeId, disk }) => ({ name, address, nodeId, diskless: disk === 'none' })),
    disks: new Map(hosts.map(({ name, disk }) => [name, disk])),
  }
}
