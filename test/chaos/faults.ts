/**
 * Which faults a run makes, drawn from its seed. Pure. Two may meet where a majority of the swarm's managers, DRBD's quorum and a whole copy of each
 * volume stay, and where the second can be made beside the first at all.
 */
import { between, pick, type Random, randomOf, shuffled } from './random.ts'

/** What a fault takes from its host while it lasts. */
type Taken = 'manager' | 'copy' | 'agent'

interface Nature {
  /** hive: one host of the swarm; repository: that server; site: no host. */
  readonly where: 'hive' | 'repository' | 'site'
  readonly takes: readonly Taken[]
  /** host: nothing else can be done to the host meanwhile. network: nothing that is done through its network. A process: nothing else to it. */
  readonly uses: 'host' | 'network' | 'dockerd' | 'hive-agent' | 'folders' | 'disk' | 'nothing'
  /** It is made through the host's network. */
  readonly overNetwork?: true
  readonly words: string
}

export const natures = {
  'power-off': { where: 'hive', takes: ['manager', 'copy', 'agent'], uses: 'host', words: 'a host without power' },
  'cut-off': { where: 'hive', takes: ['manager', 'copy', 'agent'], uses: 'network', words: 'a host without network' },
  'slow-network': { where: 'hive', takes: ['manager', 'copy', 'agent'], uses: 'network', words: 'a slow network that loses packets' },
  'stop-docker': { where: 'hive', takes: ['manager'], uses: 'dockerd', words: 'a dockerd that is stopped (SIGSTOP)' },
  'kill-docker': { where: 'hive', takes: ['manager'], uses: 'dockerd', words: 'a dockerd that is killed' },
  'stop-agent': { where: 'hive', takes: ['agent'], uses: 'hive-agent', words: 'an agent that is stopped (SIGSTOP)' },
  'kill-agent': { where: 'hive', takes: ['agent'], uses: 'hive-agent', words: 'an agent that is killed' },
  'disk-full': { where: 'hive', takes: ['agent'], uses: 'folders', overNetwork: true, words: "no space left for a host's agent and docker's downloads" },
  'pool-full': { where: 'hive', takes: ['copy'], uses: 'disk', words: "a host's thin pool is full" },
  'coordinator-killed': { where: 'site', takes: [], uses: 'nothing', words: 'hivecoord is killed while it deploys' },
  'repository-off': { where: 'repository', takes: [], uses: 'host', words: 'the repository server without power' },
} as const satisfies Readonly<Record<string, Nature>>

export type Kind = keyof typeof natures
export const kinds = Object.keys(natures) as readonly Kind[]

/** Faults that hosts of the lab can't have, with the reason. */
export const leftOut: readonly { readonly kind: string; readonly reason: string }[] = [
  {
    kind: 'clock-jump',
    reason:
      "all hosts have this machine's one clock: a time namespace moves only the monotonic clocks and can't be given to processes that run, and a clock that is moved here is moved for everything",
  },
]

export const hives = 3
/** The hive host that a deploy does what concerns the whole site on. */
const firstHive = 0

export interface Fault {
  readonly kind: Kind
  /** Number of the hive host; undefined for what befalls none. */
  readonly host: number | undefined
  /** Answers that the clients have to get before it ends, once its effect is seen. Of a coordinator: events after which it is killed. */
  readonly length: number
}

type Place = Pick<Fault, 'kind' | 'host'>

const natureOf = ({ kind }: Place): Nature => natures[kind]
const takes = (fault: Place, what: Taken): boolean => natureOf(fault).takes.includes(what)

/** Hosts that miss this while the faults last. */
const without = (what: Taken, faults: readonly Place[]): ReadonlySet<number | undefined> =>
  new Set(faults.filter((fault) => takes(fault, what)).map(({ host }) => host))

/** Majority, quorum and a whole copy stay: of the managers and of the copies, only one host's is away. */
export const isSafe = (faults: readonly Place[]): boolean => without('manager', faults).size <= 1 && without('copy', faults).size <= 1

export function mayMeet(a: Place, b: Place): boolean {
  const [first, second] = [natureOf(a), natureOf(b)]
  if (!isSafe([a, b])) return false
  if (a.kind === b.kind && first.where !== 'hive') return false
  // A deploy needs the first host, and a majority that answers it.
  const deploys = a.kind === 'coordinator-killed' || b.kind === 'coordinator-killed'
  if (deploys && [a, b].some((fault) => fault.host === firstHive && (takes(fault, 'agent') || takes(fault, 'manager')))) return false
  if (first.where !== 'hive' || second.where !== 'hive' || a.host !== b.host) return true
  if (first.uses === 'host' || second.uses === 'host' || first.uses === second.uses) return false
  return ![first, second].some((nature, index) => nature.uses === 'network' && [second, first][index]?.overNetwork === true)
}

const placesOf = (kind: Kind): readonly Place[] =>
  natures[kind].where === 'hive' ? Array.from({ length: hives }, (_, host) => ({ kind, host })) : [{ kind, host: undefined }]

/** Answers that are waited for. */
const lengths = { least: 10, most: 60 }

const withLength = (random: Random, { kind, host }: Place): Fault => ({ kind, host, length: between(random, lengths.least, lengths.most) })

/**
 * Rounds without end, each of one fault, or of two at once. Each kind comes as the first of a round once before one of them comes again.
 * `allowed`: at least one. The same seed and the same kinds: the same rounds.
 */
export function* drawRounds(seed: number, allowed: readonly Kind[] = kinds): Generator<readonly [Fault, ...Fault[]], never> {
  const random = randomOf(seed)
  const usable = kinds.filter((kind) => allowed.includes(kind))
  for (;;) {
    for (const kind of shuffled(random, usable)) {
      const first = withLength(random, pick(random, placesOf(kind)))
      const beside = usable.flatMap(placesOf).filter((place) => mayMeet(first, place))
      const two = random() < 1 / 3 && beside.length > 0
      yield two ? [first, withLength(random, pick(random, beside))] : [first]
    }
  }
}

/** "power-off of host 2, kill-agent of host 0". */
export const inWords = (faults: readonly Fault[]): string => faults.map(({ kind, host }) => (host === undefined ? kind : `${kind} of host ${host}`)).join(', ')

/** The key under which rounds are summed up: "cut-off", "cut-off + kill-agent". */
export const keyOf = (faults: readonly Place[]): string =>
  faults
    .map(({ kind }) => kind)
    .toSorted((a, b) => kinds.indexOf(a) - kinds.indexOf(b))
    .join(' + ')
