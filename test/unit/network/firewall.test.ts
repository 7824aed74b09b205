import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { contains } from '../../../agent/adapters/network/addresses.ts'
import { remotesIn } from '../../../agent/adapters/network/connected.ts'
import {
  asWanted,
  dockerParts,
  type FirewallSpec,
  firewallDifferences,
  mayConnect,
  presentFirewall,
  publishedChain,
  restoreText,
  serviceChain,
  wantedFirewall,
} from '../../../agent/adapters/network/firewall-rules.ts'

const spec: FirewallSpec = {
  absent: false,
  hosts: ['10.0.0.1', '10.0.0.2'],
  internal: ['10.0.0.0/24'],
  sshPort: 22,
  sshSources: [],
  agentPort: 17443,
  agentSources: [],
  cluster: [
    { name: 'swarm', protocol: 'tcp', ports: ['2377', '7946'] },
    { name: 'swarm', protocol: 'udp', ports: ['7946', '4789'] },
    { name: 'drbd', protocol: 'tcp', ports: ['7000:7999'] },
  ],
  internalFrom: 10_000,
  published: ['tcp 10080', 'udp 10053'],
}

interface Packet {
  readonly source: string
  readonly protocol: string
  readonly port: number
  readonly link: string
  readonly state: 'NEW' | 'ESTABLISHED'
}

/** What a chain does with a packet, as iptables reads it; a limit lets everything through. */
function verdict(rules: readonly (readonly string[])[], packet: Packet): string {
  const inRange = (range: string): boolean => {
    const [from, to = from] = range.split(':').map(Number)
    return packet.port >= (from ?? 0) && packet.port <= (to ?? 0)
  }
  for (const words of rules) {
    const value = (option: string): string | undefined => (words.includes(option) ? words[words.indexOf(option) + 1] : undefined)
    const matches = [
      value('-s') === undefined || contains(value('-s') ?? '', packet.source),
      value('-i') === undefined || (value('-i')?.endsWith('+') ? packet.link.startsWith(value('-i')?.slice(0, -1) ?? '') : value('-i') === packet.link),
      value('-p') === undefined || value('-p') === packet.protocol,
      value('--dport') === undefined || inRange(value('--dport') ?? ''),
      value('--dports') === undefined || value('--dports')?.split(',').some(inRange) === true,
      value('--ctorigdstport') === undefined || inRange(value('--ctorigdstport') ?? ''),
      value('--ctstate') === undefined || value('--ctstate') === 'DNAT' || value('--ctstate')?.split(',').includes(packet.state) === true,
    ]
    if (matches.every((match) => match)) return value('-j') ?? ''
  }
  return 'RETURN'
}

const service = (given: Partial<FirewallSpec>, packet: Partial<Packet>, family: 4 | 6 = 4): string =>
  verdict(wantedFirewall({ ...spec, ...given }, family, true).chains.get(serviceChain) ?? [], {
    source: family === 4 ? '203.0.113.9' : '2001:db8::9',
    protocol: 'tcp',
    port: 80,
    link: 'eth0',
    state: 'NEW',
    ...packet,
  })

describe('the firewall of a host', () => {
  it('lets the site’s hosts to the ports of the cluster, and nobody else, of both families', () => {
    for (const [protocol, port] of [
      ['tcp', 2377],
      ['tcp', 7946],
      ['udp', 4789],
      ['tcp', 7001],
      ['tcp', 7999],
    ] as const) {
      assert.equal(service({}, { protocol, port, source: '10.0.0.2' }), 'ACCEPT')
      assert.equal(service({}, { protocol, port }), 'DROP')
      assert.equal(service({}, { protocol, port, source: '10.0.0.3' }), 'DROP')
      assert.equal(service({}, { protocol, port }, 6), 'DROP')
      assert.equal(service({ hosts: ['2001:db8::9'] }, { protocol, port }, 6), 'ACCEPT')
    }
    assert.equal(service({}, { protocol: 'udp', port: 2377 }), 'RETURN')
  })

  it('keeps internal published ports to hosts and internal networks, where docker takes them itself, too', () => {
    assert.equal(service({}, { port: 10_080 }), 'DROP')
    assert.equal(service({}, { port: 10_080, source: '10.0.0.77' }), 'ACCEPT')
    assert.equal(service({}, { port: 10_080 }, 6), 'DROP')
    assert.equal(service({}, { port: 10_081 }), 'RETURN')
    const published = (packet: Partial<Packet>): string =>
      verdict(wantedFirewall(spec, 4, true).chains.get(publishedChain) ?? [], {
        source: '203.0.113.9',
        protocol: 'tcp',
        port: 8080,
        link: 'eth0',
        state: 'NEW',
        ...packet,
      })
    assert.deepEqual(
      [
        published({}),
        published({ port: 10_000 }),
        published({ port: 61_001 }),
        published({ port: 61_001, source: '10.0.0.9' }),
        published({ port: 10_000, link: 'br-12' }),
      ],
      ['RETURN', 'DROP', 'DROP', 'RETURN', 'RETURN'],
    )
  })

  it('has more ports than fit in one rule', () => {
    const published = Array.from({ length: 40 }, (_, index) => `tcp ${20_000 + index}`)
    for (let port = 20_000; port < 20_040; port++) assert.equal(service({ published }, { port }), 'DROP')
    for (const words of wantedFirewall({ ...spec, published }, 4, true).chains.get(serviceChain) ?? [])
      assert.ok((words[words.indexOf('--dports') + 1] ?? '').split(',').length <= 15)
  })

  const anySource = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '192.0.2.1', '198.51.100.7', '203.0.113.9')
  const anySpec: fc.Arbitrary<FirewallSpec> = fc.record({
    absent: fc.constant(false),
    hosts: fc.subarray(['10.0.0.1', '10.0.0.2', '2001:db8::1']),
    internal: fc.subarray(['10.0.0.0/24']),
    sshPort: fc.constantFrom(22, 2222, 7500),
    sshSources: fc.subarray(['192.0.2.0/24', '203.0.113.9', '2001:db8::/32']),
    agentPort: fc.constantFrom(17_443, 7600, 10_080),
    agentSources: fc.subarray(['198.51.100.7', '192.0.2.1']),
    cluster: fc.subarray([...spec.cluster]),
    internalFrom: fc.constant(10_000),
    published: fc.subarray(['tcp 10080', 'udp 10053', 'tcp 20000']),
  })

  it('of any settings: ssh and the agent are open to whom they say, whatever else is closed', () => {
    fc.assert(
      fc.property(anySpec, anySource, (given, source) => {
        const rules = wantedFirewall(given, 4, true).chains.get(serviceChain) ?? []
        for (const [to, port] of [
          ['agent', given.agentPort],
          ['ssh', given.sshPort],
        ] as const) {
          const open = mayConnect(given, to, source, contains)
          assert.equal(verdict(rules, { source, protocol: 'tcp', port, link: 'eth0', state: 'NEW' }), open ? 'ACCEPT' : 'DROP')
          assert.equal(verdict(rules, { source, protocol: 'tcp', port, link: 'eth0', state: 'ESTABLISHED' }), 'ACCEPT')
          assert.equal(verdict(rules, { source, protocol: 'tcp', port, link: 'lo', state: 'NEW' }), 'ACCEPT')
        }
      }),
    )
  })

  it('of any settings: a port that is not named is left alone', () => {
    fc.assert(
      fc.property(anySpec, anySource, fc.constantFrom('tcp', 'udp'), fc.integer({ min: 1, max: 65_535 }), (given, source, protocol, port) => {
        const named = [
          ...(protocol === 'tcp' ? [String(given.sshPort), String(given.agentPort)] : []),
          ...given.cluster.filter((one) => one.protocol === protocol).flatMap(({ ports }) => ports),
          ...given.published.filter((one) => one.startsWith(`${protocol} `)).map((one) => one.slice(4)),
        ]
        const isNamed = named.some((range) => {
          const [from, to = from] = range.split(':').map(Number)
          return port >= (from ?? 0) && port <= (to ?? 0)
        })
        if (isNamed) return
        assert.equal(verdict(wantedFirewall(given, 4, true).chains.get(serviceChain) ?? [], { source, protocol, port, link: 'eth0', state: 'NEW' }), 'RETURN')
      }),
    )
  })
})

describe('what is there', () => {
  /** As iptables -S prints what a restore of the text would leave: own chains, their calls first in the calling chain. */
  const printed = (text: string, others: readonly string[]): readonly string[] => {
    const lines = text.split('\n')
    const calls = lines.flatMap((line) => (line.startsWith('-I ') ? [line.replace(/^-I (\S+) 1/, '-A $1')] : []))
    const chains = lines.flatMap((line) =>
      line.startsWith(':') && !lines.includes(`-X ${line.slice(1).split(' ')[0]}`) ? [`-N ${line.slice(1).split(' ')[0]}`] : [],
    )
    return [
      ...others.filter((line) => line.startsWith('-P') || line.startsWith('-N')),
      ...chains,
      ...calls,
      ...others.filter((line) => line.startsWith('-A')),
      ...lines.filter((line) => line.startsWith('-A')),
    ]
  }
  const docker = ['-P INPUT ACCEPT', '-N DOCKER', '-N DOCKER-USER', '-A FORWARD -j DOCKER-USER', '-A FORWARD -o docker0 -j DOCKER', '-A DOCKER-USER -j RETURN']
  const present = presentFirewall({ lines: docker })
  const wanted = wantedFirewall(spec, 4, true)

  it('differs before, not after, and goes again without a trace', () => {
    assert.deepEqual(firewallDifferences(wanted, present), [`no chain ${serviceChain}`, `no chain ${publishedChain}`])
    const there = presentFirewall({ lines: printed(restoreText(wanted, present), docker) })
    assert.deepEqual(firewallDifferences(wanted, there), [])
    const off = wantedFirewall({ ...spec, absent: true }, 4, true)
    assert.equal(firewallDifferences(off, there).length, 2)
    assert.deepEqual(printed(restoreText(off, there), docker), docker)
    assert.equal(restoreText(asWanted(there), present), restoreText(wanted, present))
  })

  it('differs where the order, a call or what stands before it is another', () => {
    const lines = printed(restoreText(wanted, present), docker)
    const swap = (edit: (all: string[]) => string[]): readonly string[] => firewallDifferences(wanted, presentFirewall({ lines: edit([...lines]) }))
    assert.deepEqual(
      swap((all) => all.filter((line) => line !== `-A INPUT -j ${serviceChain}`)),
      [`${serviceChain} is not called by INPUT, once and before what ends it`],
    )
    assert.equal(swap((all) => ['-A INPUT -j REJECT --reject-with icmp-host-prohibited', ...all]).length, 1)
    assert.equal(swap((all) => ['-A INPUT -p tcp -j REJECT', ...all]).length, 0)
    assert.equal(swap((all) => [...all, `-A INPUT -j ${serviceChain}`]).length, 1)
    const ssh = lines.findIndex((line) => line.includes('--dport 22 '))
    assert.deepEqual(
      swap((all) => [...all.filter((_, index) => index !== ssh), lines[ssh] ?? '']),
      [`other rules in ${serviceChain}`],
    )
  })

  it('of docker is its chains and who calls them, not what comes and goes', () => {
    assert.deepEqual(dockerParts({ lines: [...docker, '-A DOCKER -d 172.18.0.3/32 -j ACCEPT'] }), [
      'chain DOCKER',
      'chain DOCKER-USER',
      'FORWARD calls DOCKER-USER',
      'FORWARD calls DOCKER',
    ])
  })
})

it('who is connected is read from the kernel’s tables', () => {
  const tcp = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:0016 00000000:0000 0A 00000000:00000000
   1: 0100000A:0016 097100CB:C822 01 00000000:00000000
   2: 0100007F:0016 0100007F:C823 01 00000000:00000000
   3: 0100000A:01BB 097100CB:C824 01 00000000:00000000`
  const tcp6 = `  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF0000076433C6:0400 01
   1: B80D0120000000000000000001000000:0016 B80D0120000000000000000009000000:0400 01`
  assert.deepEqual(remotesIn(tcp, 22), ['203.0.113.9'])
  assert.deepEqual(remotesIn(tcp6, 22), ['198.51.100.7', '2001:db8::9'])
})
