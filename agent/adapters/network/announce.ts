/**
 * Tells the neighbours of an interface where an address is now: gratuitous ARP (a reply and a request, as RFC 5227 section 3 has it, for those that only
 * listen to one) and unsolicited neighbour advertisements with the override flag (RFC 4861 section 7.2.6). Python, which setup-hosts brings,
 * sends the frames: Node.js has no packet sockets, and Debian has no arping of itself.
 */
import { readFile } from 'node:fs/promises'
import { run } from '../command.ts'

const script = `
import socket, struct, sys
link, hardware = sys.argv[1], bytes.fromhex(sys.argv[2].replace(':', ''))
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
packets.bind((link, 0))
everybody = b'\\xff' * 6
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
for text in sys.argv[3:]:
    if ':' in text:
        own = socket.inet_pton(socket.AF_INET6, text)
        nodes = socket.inet_pton(socket.AF_INET6, 'ff02::1')
        def advertisement(sum):
            return struct.pack('!BBHI', 136, 0, sum, 0x20000000) + own + b'\\x02\\x01' + hardware
        length = len(advertisement(0))
        sum = checksum(own + nodes + struct.pack('!II', length, 58) + advertisement(0))
        head = struct.pack('!IHBB', 6 << 28, length, 58, 255) + own + nodes
        packets.send(b'\\x33\\x33\\x00\\x00\\x00\\x01' + hardware + b'\\x86\\xdd' + head + advertisement(sum))
    else:
        own = socket.inet_aton(text)
        for operation in (2, 1):
            body = struct.pack('!HHBBH', 1, 0x0800, 6, 4, operation) + hardware + own + everybody + own
            packets.send(everybody + hardware + b'\\x08\\x06' + body)
`

/** Addresses of the interface itself. Nothing to tell where there are no neighbours by address of hardware. Throws HiveError. */
export async function announce(link: string, addresses: readonly string[], signal: AbortSignal): Promise<void> {
  const [type, hardware] = await Promise.all(['type', 'address'].map((file) => readFile(`/sys/class/net/${link}/${file}`, 'utf8').then((text) => text.trim())))
  // 1: Ethernet, if_arp.h.
  if (type !== '1' || hardware === undefined || addresses.length === 0) return
  await run(['python3', '-c', script, link, hardware, ...addresses], { timeout: 10_000, signal })
}
