import { isIP } from 'node:net'
import type { Converter } from './convert.ts'

/** A variable that lists addresses and networks: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32. Others are reported, each where it stands. */
export function sourceNetworks(read: Converter, name: string): readonly string[] {
  const sources = read.texts(name) ?? []
  sources.forEach((source, index) => {
    const [address = '', prefix, rest] = source.split('/')
    const bits = isIP(address) === 4 ? 32 : 128
    if (isIP(address) === 0 || rest !== undefined || (prefix !== undefined && !(/^\d+$/.test(prefix) && Number(prefix) <= bits)))
      read.wrong(name, `'${source}' is no address and no network`, 'write 192.0.2.7 or 192.0.2.0/24', read.within(name, index))
  })
  return sources
}
