/** Network interfaces of the host. */
import { readFile } from 'node:fs/promises'
import { type Collector, ratesOf, sampleIf } from '../collector.ts'
import { discovered, keyOf } from '../value.ts'

export interface InterfaceCounters {
  readonly name: string
  readonly inBytes: number
  readonly inErrors: number
  readonly outBytes: number
  readonly outErrors: number
}

export function network(): Collector {
  const rate = ratesOf()
  /** What has had a link: it is missed when it goes. */
  const linked = new Set<string>()
  return {
    name: 'network interfaces',
    every: 60,
    async collect() {
      const all = await Promise.all(
        parseNetDev(await readFile('/proc/net/dev', 'utf8')).map(async (one) => ({
          ...one,
          up: (await attribute(one.name, 'carrier')) === '1',
          speed: Math.max(0, Number(await attribute(one.name, 'speed')) || 0) * 1_000_000,
        })),
      )
      for (const { name, up } of all) if (up) linked.add(name)
      const known = all.filter(({ name }) => linked.has(name))
      return [
        { key: 'hive.net.discovery', value: discovered(known.map(({ name }) => ({ '{#IFNAME}': name }))) },
        ...known.flatMap(({ name, up, speed, inBytes, outBytes, inErrors, outErrors }) => {
          const of = (what: string, counter: number, factor = 1): number | undefined => {
            const growth = rate(`${name} ${what}`, counter)
            return growth === undefined ? undefined : growth * factor
          }
          return [
            ...sampleIf(keyOf('hive.net.in', name), of('in', inBytes, 8)),
            ...sampleIf(keyOf('hive.net.out', name), of('out', outBytes, 8)),
            ...sampleIf(keyOf('hive.net.in.errors', name), of('in errors', inErrors)),
            ...sampleIf(keyOf('hive.net.out.errors', name), of('out errors', outErrors)),
            { key: keyOf('hive.net.speed', name), value: speed },
            { key: keyOf('hive.net.up', name), value: up ? 1 : 0 },
          ]
        }),
      ]
    },
  }
}

/** '' where the kernel does not say: an interface that is down has no carrier, a virtual one no speed. */
const attribute = (name: string, what: string): Promise<string> =>
  readFile(`/sys/class/net/${name}/${what}`, 'utf8').then(
    (text) => text.trim(),
    () => '',
  )

/** Of containers, of docker and of the host with itself. */
const unwanted = /^(lo$|veth|docker|br-|vx-|virbr|cni|flannel|tunl|dummy|ifb|tailscale)/

/** /proc/net/dev: two lines of heads, then "name: bytes packets errs drop fifo frame compressed multicast" twice. */
export const parseNetDev = (text: string): readonly InterfaceCounters[] =>
  text
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const [, name = '', rest = ''] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? []
      const numbers = rest.split(/\s+/).map(Number)
      if (name === '' || unwanted.test(name)) return []
      return [{ name, inBytes: numbers[0] ?? 0, inErrors: numbers[2] ?? 0, outBytes: numbers[8] ?? 0, outErrors: numbers[10] ?? 0 }]
    })
