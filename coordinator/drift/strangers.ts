/** What is on a site's hosts that is the site's own by its marks, and that the inventory does not know any more. It is told, and never removed by inference. Pure. */
import type { VolumeInfo } from '#gen/hive/v1/docker.ts'
import { mirroredFolder } from '../phases/volume-backends.ts'

export interface Stranger {
  readonly kind: 'service' | 'network' | 'volume' | 'certificate' | 'package'
  readonly name: string
  /** Inventory names; none: of the whole site. */
  readonly hosts: readonly string[]
  /** By what it is known for the site's own, or why it is told all the same. */
  readonly because: string
  /** What takes it away; "": no command does. */
  readonly command: string
}

export interface StrangersInput {
  readonly known: {
    readonly services: readonly string[]
    readonly networks: readonly string[]
    readonly volumes: readonly string[]
    readonly hosts: readonly string[]
    /** Kernel and DRBD are held on hosts that mirror volumes. */
    readonly holdsKernel: boolean
  }
  /** Of a manager; undefined: none answers. */
  readonly swarm:
    | {
        readonly services: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[]
        readonly networks: readonly { readonly name: string; readonly driver: string; readonly ingress: boolean }[]
      }
    | undefined
  readonly hosts: readonly {
    readonly name: string
    readonly volumes: readonly Pick<VolumeInfo, 'name' | 'options'>[]
    /** Names of volumes that its DRBD knows. */
    readonly mirrored: readonly string[]
    readonly heldPackages: readonly string[]
  }[]
  /** Certificates of agents that have not expired and are not revoked: the names of their bearers. */
  readonly agents: readonly string[]
  /** A host of the stage that is to be asked for removals. */
  readonly manager: string
}

export function strangersOf({ known, swarm, hosts, agents, manager }: StrangersInput): readonly Stranger[] {
  const isKnown = (names: readonly string[]) => {
    const all = new Set(names)
    return (name: string): boolean => all.has(name)
  }
  const [service, network, volume, host] = [isKnown(known.services), isKnown(known.networks), isKnown(known.volumes), isKnown(known.hosts)]
  return [
    ...(swarm?.services ?? [])
      .filter(({ name }) => !service(name))
      .map(
        ({ name, labels }): Stranger => ({
          kind: 'service',
          name,
          hosts: [],
          because: labels['HIVE_STANDALONE'] === undefined ? 'made by other means: it has no label of the site' : 'deployed from an inventory of the site',
          command: `hivecoord call ${manager} ServiceService/Remove '{"name": "${name}"}'`,
        }),
      ),
    ...(swarm?.networks ?? [])
      .filter(({ name, driver, ingress }) => driver === 'overlay' && !ingress && !network(name))
      .map(
        ({ name }): Stranger => ({
          kind: 'network',
          name,
          hosts: [],
          because: 'an overlay network of the whole swarm',
          command: `hivecoord call ${manager} NetworkService/Remove '{"name": "${name}"}'`,
        }),
      ),
    ...volumeStrangers(hosts, volume),
    ...[...new Set(agents)]
      .filter((name) => !host(name))
      .map(
        (name): Stranger => ({
          kind: 'certificate',
          name,
          hosts: [],
          because: "an agent's certificate of the stage's CA, of a host that the inventory does not have",
          command: `hivecoord cert revoke ${name}`,
        }),
      ),
    ...(known.holdsKernel ? [] : heldStrangers(hosts)),
  ]
}

function volumeStrangers(hosts: StrangersInput['hosts'], isKnown: (name: string) => boolean): readonly Stranger[] {
  const found = new Map<string, { because: string; mirrored: boolean; hosts: Set<string> }>()
  const note = (name: string, host: string, because: string, mirrored: boolean): void => {
    if (isKnown(name)) return
    const before = found.get(name) ?? { because, mirrored, hosts: new Set<string>() }
    before.hosts.add(host)
    found.set(name, before)
  }
  for (const { name: host, volumes, mirrored } of hosts) {
    for (const name of mirrored) note(name, host, 'DRBD has a resource of it', true)
    for (const { name, options } of volumes) {
      const device = options['device'] ?? ''
      if (device.startsWith('/dev/drbd')) note(name, host, `docker mounts ${device}`, true)
      else if (device.startsWith(`${mirroredFolder}/`)) note(name, host, 'a folder that the hosts share', false)
    }
  }
  return [...found].map(([name, { because, mirrored, hosts: on }]) => ({
    kind: 'volume',
    name,
    hosts: [...on],
    because,
    command: mirrored ? `hivecoord volume delete ${name}` : '',
  }))
}

/** What setup-hosts holds where volumes are mirrored. */
const heldForMirroring = /^(?:linux-image-|kernel\*?$|kmod-drbd)/

function heldStrangers(hosts: StrangersInput['hosts']): readonly Stranger[] {
  const by = new Map<string, string[]>()
  for (const { name: host, heldPackages } of hosts)
    for (const held of heldPackages.filter((name) => heldForMirroring.test(name))) by.set(held, [...(by.get(held) ?? []), host])
  return [...by].map(([name, on]) => ({
    kind: 'package',
    name,
    hosts: on,
    because: 'held for mirrored volumes, of which the stage has none',
    command: '',
  }))
}
