/**
 * The rules of the host's own firewall (reference: hive-builder's chain HIVE-SERVICE), what differs from them, and the way back: pure.
 *
 * Invariants:
 * - ssh and the agent's port come first, after what belongs to connections that are there;
 * - of other ports only those that are named are ever closed: this firewall has no "all the rest";
 * - docker's chains are called from and never written to, but for one jump in DOCKER-USER, which docker leaves to others.
 */
import { isIP } from 'node:net'
import type { EnsureFirewall } from '#gen/hive/v1/steps_network.ts'
import type { Family } from '../../../proto/follower-labels.ts'
import { type Listing, ruleKey, wordsOf } from './iptables.ts'

export const serviceChain = 'HIVE-SERVICE'
export const publishedChain = 'HIVE-PUBLISHED'
const dockerUser = 'DOCKER-USER'

export type FirewallSpec = Omit<EnsureFirewall, '$type'>
type Rule = readonly string[]

export interface Wanted {
  /** Rules of each own chain, in their order. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>
  /** The chain that calls each of them. */
  readonly calledFrom: ReadonlyMap<string, string>
}

const familyOf = (source: string): Family => (isIP(source.split('/')[0] ?? '') === 6 ? 6 : 4)
const ofFamily = (sources: readonly string[], family: Family): readonly string[] => [...new Set(sources)].filter((source) => familyOf(source) === family)
const comment = (text: string): Rule => ['-m', 'comment', '--comment', `hive_${text}`]
const fresh: Rule = ['-m', 'conntrack', '--ctstate', 'NEW']
/** As many as iptables' multiport takes. */
const mostPorts = 15

/** `dockerIsThere`: docker has its chains in this family. */
export function wantedFirewall(spec: FirewallSpec, family: Family, dockerIsThere: boolean): Wanted {
  if (spec.absent) return { chains: new Map(), calledFrom: new Map() }
  const chains = new Map([[serviceChain, serviceRules(spec, family)]])
  const calledFrom = new Map([[serviceChain, 'INPUT']])
  if (dockerIsThere) {
    chains.set(publishedChain, publishedRules(spec, family))
    calledFrom.set(publishedChain, dockerUser)
  }
  return { chains, calledFrom }
}

function serviceRules(spec: FirewallSpec, family: Family): readonly Rule[] {
  const hosts = ofFamily(spec.hosts, family)
  return [
    ['-i', 'lo', '-j', 'ACCEPT'],
    ['-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
    ...admission('ssh', spec.sshPort, hosts, spec.sshSources, family, ['-m', 'limit', '--limit', '5/sec', '--limit-burst', '20']),
    ...admission('agent', spec.agentPort, hosts, spec.agentSources, family, []),
    // Containers of this host's services reach the host.
    ['-i', 'docker_gwbridge', ...fresh, ...comment('containers'), '-j', 'ACCEPT'],
    ...spec.cluster.flatMap(({ name, protocol, ports }) => {
      const to: Rule = ['-p', protocol, '-m', 'multiport', '--dports', ports.join(','), ...comment(name)]
      return [...hosts.map((host) => ['-s', host, ...to, '-j', 'ACCEPT']), [...to, '-j', 'DROP']]
    }),
    // What docker's proxies take themselves does not pass docker's chains: IPv6 on hosts where docker does without.
    ...portsByProtocol(spec.published).flatMap(([protocol, ports]) => {
      const to: Rule = ['-p', protocol, '-m', 'multiport', '--dports', ports.join(','), ...comment('published')]
      return [...ofFamily([...spec.hosts, ...spec.internal], family).map((source) => ['-s', source, ...to, '-j', 'ACCEPT']), [...to, '-j', 'DROP']]
    }),
  ]
}

/** Everybody, or the site's hosts and the sources, with a limit for the latter. */
function admission(name: string, port: number, hosts: readonly string[], sources: readonly string[], family: Family, limit: Rule): readonly Rule[] {
  const to: Rule = ['-p', 'tcp', '-m', 'tcp', '--dport', String(port)]
  if (sources.length === 0) return [[...to, ...comment(name), '-j', 'ACCEPT']]
  return [
    ...hosts.map((host) => ['-s', host, ...to, ...comment(name), '-j', 'ACCEPT']),
    ...ofFamily(sources, family).map((source) => ['-s', source, ...to, ...(limit.length === 0 ? [] : fresh), ...limit, ...comment(name), '-j', 'ACCEPT']),
    [...to, ...comment(name), '-j', 'DROP'],
  ]
}

/** Of what docker forwards from a port of this host's. */
function publishedRules(spec: FirewallSpec, family: Family): readonly Rule[] {
  const sources = ofFamily([...spec.hosts, ...spec.internal], family)
  const bridges = ['docker0', 'docker_gwbridge', 'br-+']
  return [
    ...bridges.map((bridge) => ['-i', bridge, ...comment('containers'), '-j', 'RETURN']),
    ...sources.map((source) => ['-s', source, ...comment('internal'), '-j', 'RETURN']),
    ...['tcp', 'udp', 'sctp'].map((protocol) => [
      '-p',
      protocol,
      '-m',
      'conntrack',
      '--ctstate',
      'DNAT',
      '--ctorigdstport',
      `${spec.internalFrom}:65535`,
      '--ctdir',
      'ORIGINAL',
      ...comment('published'),
      '-j',
      'DROP',
    ]),
  ]
}

function portsByProtocol(published: readonly string[]): readonly (readonly [string, readonly string[]])[] {
  const groups = Map.groupBy(
    published.map((one) => one.split(' ')),
    ([protocol = '']) => protocol,
  )
  return [...groups].flatMap(([protocol, all]) => {
    const ports = [...new Set(all.map(([, port = '']) => port))].sort((a, b) => Number(a) - Number(b))
    return Array.from({ length: Math.ceil(ports.length / mostPorts) }, (_, part) => [protocol, ports.slice(part * mostPorts, (part + 1) * mostPorts)] as const)
  })
}

/** What is there of the firewall, and of docker. */
export interface Present {
  readonly chains: ReadonlyMap<string, readonly Rule[]>
  /** Rules of other chains that call an own one, in the order of their chain. */
  readonly calls: readonly { readonly from: string; readonly to: string; readonly words: Rule; readonly effective: boolean }[]
  readonly dockerIsThere: boolean
}

const own: readonly string[] = [serviceChain, publishedChain]
const split = (line: string): readonly [string, string, Rule] => {
  const [option = '', chain = '', ...words] = wordsOf(line)
  return [option, chain, words]
}

export function presentFirewall({ lines }: Pick<Listing, 'lines'>): Present {
  const all = lines.map(split)
  const named = new Set(all.flatMap(([option, chain]) => (option === '-N' ? [chain] : [])))
  const rules = all.flatMap(([option, chain, words]) => (option === '-A' ? [{ chain, words }] : []))
  const calls = rules.flatMap(({ chain, words }, index) => {
    const to = words[words.indexOf('-j') + 1] ?? ''
    if (own.includes(chain) || !words.includes('-j') || !own.includes(to)) return []
    // Behind a rule that decides about everything it would be called by nothing.
    const effective = words.length === 2 && !rules.slice(0, index).some((other) => other.chain === chain && decidesAll(other.words))
    return [{ from: chain, to, words, effective }]
  })
  return {
    chains: new Map(own.filter((chain) => named.has(chain)).map((chain) => [chain, rules.filter((rule) => rule.chain === chain).map(({ words }) => words)])),
    calls,
    dockerIsThere: named.has(dockerUser),
  }
}

const decidesAll = (words: Rule): boolean => words[0] === '-j' && ['ACCEPT', 'DROP', 'REJECT', 'RETURN'].includes(words[1] ?? '')

/** A sentence for each difference. */
export function firewallDifferences({ chains, calledFrom }: Wanted, present: Present): readonly string[] {
  const key = (rules: readonly Rule[] | undefined): string | undefined =>
    rules?.map((words) => ruleKey({ family: 4, table: 'filter', chain: '', words: words.map((word) => word.replace(/\/128$/, '')) })).join('\n')
  return own.flatMap((chain) => {
    const from = calledFrom.get(chain)
    const calls = present.calls.filter(({ to }) => to === chain)
    if (from === undefined) return present.chains.has(chain) ? [`chain ${chain} is there`] : []
    if (!present.chains.has(chain)) return [`no chain ${chain}`]
    return [
      ...(key(chains.get(chain)) === key(present.chains.get(chain)) ? [] : [`other rules in ${chain}`]),
      ...(calls.length === 1 && calls[0]?.from === from && calls[0].effective ? [] : [`${chain} is not called by ${from}, once and before what ends it`]),
    ]
  })
}

/** For iptables-restore --noflush: all or nothing, and nothing but the own chains and their calls. */
export function restoreText({ chains, calledFrom }: Wanted, present: Present): string {
  const line = (option: string, chain: string, words: Rule): string => [option, chain, ...words].map(quoted).join(' ')
  const gone = [...present.chains.keys()].filter((chain) => !chains.has(chain))
  return [
    '*filter',
    // Empties those that are there.
    ...[...new Set([...chains.keys(), ...gone])].map((chain) => `:${chain} - [0:0]`),
    ...present.calls.map(({ from, words }) => line('-D', from, words)),
    ...[...chains].flatMap(([chain, rules]) => rules.map((words) => line('-A', chain, words))),
    ...[...calledFrom].map(([chain, from]) => `-I ${from} 1 -j ${chain}`),
    ...gone.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n')
}

const quoted = (word: string): string => (/^[\w.:/,+!-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`)

/** What was there, as something to want again. */
export const asWanted = ({ chains, calls }: Present): Wanted => ({ chains, calledFrom: new Map(calls.map(({ from, to }) => [to, from])) })

/** Docker's chains, and from which of the kernel's they are called: what comes and goes with containers is not among it. */
export const dockerParts = ({ lines }: Pick<Listing, 'lines'>): readonly string[] => [
  ...new Set(
    lines.map(split).flatMap(([option, chain, words]) => {
      const to = words.includes('-j') ? (words[words.indexOf('-j') + 1] ?? '') : ''
      if (option === '-N' && chain.startsWith('DOCKER')) return [`chain ${chain}`]
      return option === '-A' && !chain.startsWith('DOCKER') && to.startsWith('DOCKER') ? [`${chain} calls ${to}`] : []
    }),
  ),
]

/** Whether somebody at this address could connect anew. */
export const mayConnect = (spec: FirewallSpec, to: 'ssh' | 'agent', from: string, contains: (network: string, address: string) => boolean): boolean => {
  const sources = to === 'ssh' ? spec.sshSources : spec.agentSources
  return spec.absent || sources.length === 0 || [...spec.hosts, ...sources].some((network) => contains(network, from))
}
