/** Who has a TCP connection to a port of this host, as /proc/net/tcp and tcp6 tell. */
import { readText } from '../files.ts'

/** Addresses of the other ends, without those of this host itself by loopback. IPv4 in its own form. */
export async function connectedTo(port: number): Promise<readonly string[]> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readText))
  return [...new Set(tables.flatMap((table) => remotesIn(table, port)))]
}

/** Of a table of the kernel's: established connections to the local port. */
export function remotesIn(table: string, port: number): readonly string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/)
    if (state !== '01' || Number.parseInt(local.split(':')[1] ?? '', 16) !== port) return []
    const address = addressOf(remote.split(':')[0] ?? '')
    return address === undefined || address.startsWith('127.') || address === '::1' ? [] : [address]
  })
}

/** Words of 32 bits in the machine's order, which is little-endian wherever agents run. */
function addressOf(hex: string): string | undefined {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)))
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return undefined
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  if (mapped) return bytes.slice(12).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
