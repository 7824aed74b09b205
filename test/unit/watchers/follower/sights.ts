/** Swarms and hosts as the follower sees them, from few words and at random; and a host that does what it is told. */
import fc from 'fast-check'
import type { AddressSight } from '../../../../agent/adapters/network/addresses.ts'
import { chainKey, type RuleSight } from '../../../../agent/adapters/network/iptables.ts'
import { type HostAction, lease } from '../../../../agent/watchers/follower/differences.ts'
import type { HostSight, NodeSight, ServiceSight, SwarmSight, TaskSight } from '../../../../agent/watchers/follower/picture.ts'

export const node = (id: string, given: Partial<NodeSight> = {}): NodeSight => ({ id, name: `host-${id}`, dead: false, isManager: true, labels: {}, ...given })
export const service = (name: string, labels: Record<string, string>, createdAt = '2024-01-01T00:00:00Z'): ServiceSight => ({
  id: `id-${name}`,
  name,
  createdAt,
  labels,
})
export const task = (serviceName: string, nodeId: string, given: Partial<TaskSight> = {}): TaskSight => ({
  id: `${serviceName}-${nodeId}`,
  serviceId: `id-${serviceName}`,
  nodeId,
  desired: 'running',
  runs: true,
  slot: 1,
  createdAt: '2024-01-01T00:00:01Z',
  containerId: `c-${serviceName}-${nodeId}`,
  ...given,
})
export const swarm = (services: readonly ServiceSight[], tasks: readonly TaskSight[], given: Partial<SwarmSight> = {}): SwarmSight => ({
  nodeId: 'n1',
  leads: true,
  nodes: [node('n1'), node('n2'), node('n3')],
  services,
  tasks,
  ...given,
})

export const address = (text: string, link: string, prefixLength = 24, secondsLeft?: number): AddressSight => ({
  address: text,
  family: text.includes(':') ? 6 : 4,
  prefixLength,
  interface: link,
  secondsLeft,
})

export const dockerChains = new Set(
  ([4, 6] as const).flatMap((family) => [chainKey(family, 'nat', 'DOCKER'), chainKey(family, 'filter', 'DOCKER'), chainKey(family, 'nat', 'POSTROUTING')]),
)

export const host = (own: readonly AddressSight[] = [], given: Partial<HostSight> = {}): HostSight => ({
  links: [
    { name: 'lo', loopback: true, addresses: [address('127.0.0.1', 'lo', 8), ...own.filter((one) => one.interface === 'lo')] },
    {
      name: 'eth0',
      loopback: false,
      addresses: [address('10.0.0.1', 'eth0'), address('fd00::1', 'eth0', 64), ...own.filter((one) => one.interface === 'eth0')],
    },
  ],
  containers: new Map(),
  rules: [],
  chains: dockerChains,
  ...given,
})

/** What is there once an action is done. */
export function after(seen: HostSight, action: HostAction): HostSight {
  const without = (one: { readonly address: string; readonly interface: string }): HostSight => ({
    ...seen,
    links: seen.links.map((link) =>
      link.name === one.interface ? { ...link, addresses: link.addresses.filter((other) => other.address !== one.address) } : link,
    ),
  })
  switch (action.kind) {
    case 'remove-rule': {
      const index = seen.rules.indexOf(action.rule)
      return { ...seen, rules: seen.rules.filter((_, at) => at !== index) }
    }
    case 'add-rule':
      return { ...seen, rules: [action.rule, ...seen.rules] }
    case 'remove-address':
      return without(action.address)
    case 'add-address':
    case 'renew-address': {
      const { address: text, family, prefixLength, interface: link } = action.address
      const given: AddressSight = { address: text, family, prefixLength, interface: link, secondsLeft: lease }
      const cleared = without(given)
      return { ...cleared, links: cleared.links.map((one) => (one.name === link ? { ...one, addresses: [...one.addresses, given] } : one)) }
    }
  }
}

const vips = ['10.0.0.50', '10.0.0.51', '10.0.0.52/16@eth0', '10.9.9.9/32@lo', '192.0.2.1', 'nonsense', '10.0.0.50/24', '300.1.1.1', '10.0.0.1/33@eth0', '']
const vips6 = ['fd00::50', 'FD00:0::51', 'fd01::1/64@eth0', '10.0.0.50', 'x']
const pick = (values: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...values)

export const anyLabels: fc.Arbitrary<Record<string, string>> = fc
  .record(
    {
      HIVE_MARK: pick(['proxy', 'data', 'hives', 'not a label', '']),
      HIVE_VIP: pick(vips),
      HIVE_VIP3: pick(vips),
      HIVE_VIP_V6: pick(vips6),
      HIVE_ROUTER3: pick(['10.0.0.254', 'router']),
      HIVE_DNAT_PORTS: pick(['80', '80,443/tcp,53/udp', '80/sctp', 'x,80', '70000', '']),
      HIVE_DNAT_PORTS_V6: pick(['80', '443']),
      HIVE_ENABLE_VIP_SNAT: pick(['TRUE', 'true', 'False', '1']),
      COLOUR: pick(['blue']),
    },
    { requiredKeys: [] },
  )
  .map((labels) => Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== undefined)) as Record<string, string>)

const ids = ['n1', 'n2', 'n3', 'n4']

const anyTask = (names: readonly string[]): fc.Arbitrary<TaskSight> =>
  fc
    .record({
      name: fc.constantFrom(...names),
      on: fc.constantFrom(...ids, ''),
      desired: fc.constantFrom('running' as const, 'ready' as const),
      runs: fc.boolean(),
      slot: fc.integer({ min: 0, max: 3 }),
      createdAt: fc.constantFrom('2024-01-01T00:00:01Z', '2024-01-01T00:00:02Z'),
      number: fc.nat(99),
    })
    .map(({ name, on, number, ...rest }) => task(name, on, { ...rest, id: `${name}-${number}`, containerId: `c-${name}-${on}` }))

export const anySwarm: fc.Arbitrary<SwarmSight> = fc
  .record({
    labels: fc.array(anyLabels, { minLength: 1, maxLength: 4 }),
    dates: fc.array(fc.constantFrom('2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z'), { minLength: 4, maxLength: 4 }),
    dead: fc.subarray(ids),
    marks: fc.array(
      fc.record(
        { proxy: pick(['true', 'false']), data: pick(['true']), 'hive.marks': pick(['proxy', 'data,old', '']), site: pick(['x']) },
        { requiredKeys: [] },
      ),
      {
        minLength: 4,
        maxLength: 4,
      },
    ),
  })
  .chain(({ labels, dates, dead, marks }) => {
    const services = labels.map((one, index) => service(`s${index}`, one, dates[index]))
    const nodes = ids.map((id, index) =>
      node(id, { dead: dead.includes(id), isManager: id !== 'n4', labels: JSON.parse(JSON.stringify(marks[index] ?? {})) as Record<string, string> }),
    )
    return fc
      .uniqueArray(anyTask(services.map(({ name }) => name)), { maxLength: 6, selector: ({ id }) => id })
      .map((tasks) => swarm(services, tasks, { nodes }))
  })

/** A rule that nobody but the follower has a comment for. */
const strayRule: RuleSight = {
  family: 4,
  table: 'nat',
  chain: 'DOCKER',
  words: ['-p', 'tcp', '-m', 'comment', '--comment', 'hive_dnat_10.0.0.99_tcp_80_gone', '-j', 'RETURN'],
}

export const anyHost: fc.Arbitrary<HostSight> = fc
  .record({
    own: fc.uniqueArray(
      fc.record({
        text: fc.constantFrom('10.0.0.50', '10.0.0.51', 'fd00::50', '10.0.0.77', '10.9.9.9'),
        prefix: fc.constantFrom(24, 32),
        link: fc.constantFrom('eth0', 'lo'),
        left: fc.constantFrom(undefined, 5, 58, 3600),
      }),
      { maxLength: 4, selector: ({ text, link }) => `${text} ${link}` },
    ),
    containers: fc.subarray(['c-s0-n1', 'c-s1-n1', 'c-s2-n1']),
    stray: fc.boolean(),
    docker: fc.boolean(),
  })
  .map(({ own, containers, stray, docker }) =>
    host(
      own.map(({ text, prefix, link, left }) => address(text, link, prefix, left)),
      {
        containers: new Map(containers.map((id, index) => [id, { 4: `172.18.0.${index + 3}`, 6: index === 0 ? `fd99::${index + 3}` : undefined }])),
        rules: stray ? [strayRule, strayRule] : [],
        chains: docker ? dockerChains : new Set<string>(),
      },
    ),
  )
