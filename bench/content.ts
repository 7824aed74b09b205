/** What the measured site holds, once, for both ways of making it. */

export interface SiteSize {
  readonly services: number
  /** Hive hosts; the repository server comes on top. */
  readonly hosts: number
}

export interface ServiceContent {
  readonly name: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly network: string
  readonly volumes: readonly { readonly source: string; readonly target: string }[]
}

export interface Content {
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
  readonly services: readonly ServiceContent[]
}

export const siteName = 'bench'
export const image = 'busybox:1'
/** In seconds: a container that is told to stop does so at once. */
export const stopGraceSeconds = 5
export const volumeDriver = { driver: 'local', driver_opts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' } } as const

/** The one that every site has comes with two of this site's own. */
const networks = ['hive_default_network', 'front', 'back'] as const
const volumeCount = 20

const numbered = (prefix: string, index: number): string => `${prefix}${String(index + 1).padStart(3, '0')}`

/** Small services, each on one of three networks, twenty driver volumes among them. `revisions`: what was changed, by service. */
export function contentOf(services: number, revisions: ReadonlyMap<string, number> = new Map()): Content {
  const volumes = Array.from({ length: volumeCount }, (_, index) => numbered('volume', index))
  return {
    networks,
    volumes,
    services: Array.from({ length: services }, (_, index) => {
      const name = numbered('service', index)
      return {
        name,
        args: ['busybox', 'sh', '-c', 'trap exit TERM; sleep 2147483647 & wait'],
        environment: { SERVICE: name, REVISION: String(revisions.get(name) ?? 1) },
        network: networks[index % networks.length] ?? networks[0],
        volumes: volumes.filter((_volume, number) => number % services === index).map((source) => ({ source, target: `/data/${source}` })),
      }
    }),
  }
}
