/** Disks: requests, their time, how busy. */
import { readFile } from 'node:fs/promises'
import { type Collector, ratesOf, sampleIf } from '../collector.ts'
import { discovered, keyOf } from '../value.ts'

export interface DiskCounters {
  readonly name: string
  readonly reads: number
  readonly readMilliseconds: number
  readonly writes: number
  readonly writeMilliseconds: number
  readonly busyMilliseconds: number
}

export function disks(): Collector {
  const rate = ratesOf()
  return {
    name: 'disks',
    every: 60,
    async collect() {
      const all = parseDiskStats(await readFile('/proc/diskstats', 'utf8'))
      return [
        { key: 'hive.disk.discovery', value: discovered(all.map(({ name }) => ({ '{#DEVNAME}': name }))) },
        ...all.flatMap((disk) => {
          const of = (what: string, counter: number): number | undefined => rate(`${disk.name} ${what}`, counter)
          const [reads, readTime] = [of('reads', disk.reads), of('read time', disk.readMilliseconds)]
          const [writes, writeTime] = [of('writes', disk.writes), of('write time', disk.writeMilliseconds)]
          const busy = of('busy', disk.busyMilliseconds)
          return [
            ...sampleIf(keyOf('hive.disk.read.rate', disk.name), reads),
            ...sampleIf(keyOf('hive.disk.write.rate', disk.name), writes),
            ...sampleIf(keyOf('hive.disk.read.await', disk.name), await_(reads, readTime)),
            ...sampleIf(keyOf('hive.disk.write.await', disk.name), await_(writes, writeTime)),
            ...sampleIf(keyOf('hive.disk.util', disk.name), busy === undefined ? undefined : Math.min(100, busy / 10)),
          ]
        }),
      ]
    },
  }
}

/** Milliseconds a request; 0 where there was none. */
const await_ = (requests: number | undefined, milliseconds: number | undefined): number | undefined =>
  requests === undefined || milliseconds === undefined ? undefined : requests === 0 ? 0 : milliseconds / requests

/** Whole disks and DRBD devices that were ever used. */
const wanted = /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme\d+n\d+|mmcblk\d+|drbd\d+)$/

/** Documentation/admin-guide/iostats.rst of the kernel: major minor name, then reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, busy ms. */
export const parseDiskStats = (text: string): readonly DiskCounters[] =>
  text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/ +/)
    const name = fields[2] ?? ''
    const number = (index: number): number => Number(fields[index] ?? 0)
    if (!wanted.test(name) || number(3) + number(7) === 0) return []
    return [{ name, reads: number(3), readMilliseconds: number(6), writes: number(7), writeMilliseconds: number(10), busyMilliseconds: number(12) }]
  })
