/**
 * What the failover supervisor does about what it sees: pure.
 *
 * Invariants:
 * - a finding is acted upon only when it was seen in every look for as long as its signature says, none of them more than a minute apart;
 * - at most one action comes of one look, and none while the host is held;
 * - a volume and a host have so many actions in a time and no more, and the same finding has a pause between two;
 * - a signature that did not help on a volume twice in a row is given up there until it is released.
 */
import type { Picture } from './picture.ts'
import { type Finding, findings, type SignatureName, signatureOf } from './signatures.ts'
import { type Bucket, type BucketLimit, refilled, taken } from './token-bucket.ts'

/** A volume that needs more than this is not healed but shaken. */
export const volumeLimit: BucketLimit = { most: 3, every: 600_000 }
/** Room for each of some dozen volumes when a host comes back, and no storm. */
export const hostLimit: BucketLimit = { most: 20, every: 60_000 }
/** Milliseconds between two looks, beyond which nobody knows what was in between. */
export const longestGap = 60_000
/** Attempts without help. */
export const patience = 2

export interface Sighting {
  readonly first: number
  readonly last: number
  readonly unchanged: string
  /** Why nothing was done, as it was told last. */
  readonly told: string
}

export interface Memory {
  readonly sightings: ReadonlyMap<string, Sighting>
  readonly volumes: ReadonlyMap<string, Bucket>
  readonly host: Bucket | undefined
  /** By finding: when it was acted upon last. */
  readonly acted: ReadonlyMap<string, number>
  /** By signature and volume. */
  readonly failures: ReadonlyMap<string, number>
  readonly givenUp: readonly GivenUp[]
}

export interface GivenUp {
  readonly volume: string
  readonly signature: string
  readonly since: number
  readonly why: string
}

export interface Evidence {
  readonly volume: string
  readonly signature: SignatureName
  readonly peer: string
  readonly kind: 'acts' | 'helped' | 'did-not-help' | 'gone' | 'held' | 'limited' | 'given-up'
  readonly what: string
  readonly lines: readonly string[]
}

export interface Outcome {
  readonly memory: Memory
  /** What to do now, one thing at most. */
  readonly action: Finding | undefined
  readonly evidence: readonly Evidence[]
}

export const emptyMemory = (givenUp: readonly GivenUp[] = []): Memory => ({
  sightings: new Map(),
  volumes: new Map(),
  host: undefined,
  acted: new Map(),
  failures: new Map(),
  givenUp,
})

/** A look that failed breaks what was seen before. */
export const unseen = (memory: Memory): Memory => ({ ...memory, sightings: new Map() })

/** Where it gave up it may try again, from the beginning. */
export const released = (memory: Memory): Memory => ({ ...memory, failures: new Map(), givenUp: [], sightings: new Map() })

export const keyOf = ({ signature, volume, peer }: Pick<Finding, 'signature' | 'volume' | 'peer'>): string => [signature, volume, peer].join(' ').trimEnd()
const triedKey = ({ signature, volume }: { readonly signature: string; readonly volume: string }): string => `${signature} ${volume}`

/** `held`: why nothing may be done on this host; undefined where it may. `now` in milliseconds since 1970. */
export function superviseOnce(picture: Picture, memory: Memory, now: number, held?: string): Outcome {
  const sightings = new Map<string, Sighting>()
  const evidence: Evidence[] = []
  let chosen: Outcome | undefined
  for (const finding of findings(picture, now)) {
    const key = keyOf(finding)
    const sighting = seenAgain(memory.sightings.get(key), finding, now)
    sightings.set(key, sighting)
    if (now - sighting.first < signatureOf(finding.signature).holds * 1000 || chosen !== undefined) continue
    const why = whyNot(finding, memory, now, held)
    if (why === undefined) {
      chosen = {
        memory: spent(memory, finding, now),
        action: finding,
        evidence: [{ ...about(finding), kind: 'acts', what: inWords(finding), lines: finding.evidence }],
      }
      continue
    }
    if (sighting.told !== why.kind) evidence.push({ ...about(finding), ...why, lines: finding.evidence })
    sightings.set(key, { ...sighting, told: why.kind })
  }
  return { memory: { ...(chosen?.memory ?? memory), sightings }, action: chosen?.action, evidence: [...evidence, ...(chosen?.evidence ?? [])] }
}

/** What became of an action. `gone`: the finding was not there any more when it came to acting, so nothing was done. */
export type Result = { readonly kind: 'helped' | 'did-not-help' | 'gone'; readonly what: string; readonly lines: readonly string[] }

export function afterAction(memory: Memory, finding: Finding, result: Result, now: number): Omit<Outcome, 'action'> {
  const key = triedKey(finding)
  const failures = new Map(memory.failures)
  const told: Evidence = { ...about(finding), ...result }
  const sightings = new Map(memory.sightings)
  sightings.delete(keyOf(finding))
  if (result.kind === 'gone') return { memory: { ...memory, sightings }, evidence: [told] }
  if (result.kind === 'helped') {
    failures.delete(key)
    return { memory: { ...memory, sightings, failures }, evidence: [told] }
  }
  const count = (failures.get(key) ?? 0) + 1
  failures.set(key, count)
  if (count < patience) return { memory: { ...memory, sightings, failures }, evidence: [told] }
  failures.delete(key)
  const { volume, signature } = finding
  const why = `${result.what}, ${count} times`
  const givenUp = [...memory.givenUp.filter((one) => triedKey(one) !== key), { volume, signature, since: now, why }]
  const last: Evidence = { ...about(finding), kind: 'given-up', what: `${why}: left alone until hivecoord hold release`, lines: result.lines }
  return { memory: { ...memory, sightings, failures, givenUp }, evidence: [told, last] }
}

function seenAgain(before: Sighting | undefined, { unchanged }: Finding, now: number): Sighting {
  const unbroken = before !== undefined && before.unchanged === unchanged && now >= before.last && now - before.last <= longestGap
  return unbroken ? { ...before, last: now } : { first: now, last: now, unchanged, told: '' }
}

function whyNot(finding: Finding, memory: Memory, now: number, held: string | undefined): Pick<Evidence, 'kind' | 'what'> | undefined {
  const would = inWords(finding)
  if (held !== undefined) return { kind: 'held', what: `would ${would}, but ${held}` }
  const givenUp = memory.givenUp.find((one) => triedKey(one) === triedKey(finding))
  if (givenUp !== undefined) return { kind: 'given-up', what: `would ${would}, but ${givenUp.why}` }
  const last = memory.acted.get(keyOf(finding))
  const { pause } = signatureOf(finding.signature)
  if (last !== undefined && Math.abs(now - last) < pause * 1000) return { kind: 'limited', what: `would ${would}, but did so less than ${pause} s ago` }
  if (taken(refilled(memory.volumes.get(finding.volume), volumeLimit, now)) === undefined)
    return { kind: 'limited', what: `would ${would}, but ${finding.volume} had ${volumeLimit.most} actions in short time` }
  if (taken(refilled(memory.host, hostLimit, now)) === undefined)
    return { kind: 'limited', what: `would ${would}, but this host had ${hostLimit.most} actions in short time` }
  return undefined
}

function spent(memory: Memory, finding: Finding, now: number): Memory {
  const volumes = new Map(memory.volumes)
  const volume = taken(refilled(memory.volumes.get(finding.volume), volumeLimit, now))
  if (volume !== undefined) volumes.set(finding.volume, volume)
  return {
    ...memory,
    volumes,
    host: taken(refilled(memory.host, hostLimit, now)),
    acted: new Map([...memory.acted, [keyOf(finding), now]]),
  }
}

const about = ({ volume, signature, peer }: Finding): Pick<Evidence, 'volume' | 'signature' | 'peer'> => ({ volume, signature, peer })

/** What a finding's action is, as an order: "unmount …". */
export function inWords({ action, volume }: Pick<Finding, 'action' | 'volume'>): string {
  switch (action.kind) {
    case 'unmount':
      return `unmount ${action.mountPoint}`
    case 'demote':
      return `make ${volume} Secondary`
    case 'stop-containers':
      return `stop ${action.containers.map(({ name }) => name).join(', ')}`
    case 'connect':
      return `connect ${volume} to ${action.peers.map(({ name }) => name).join(' and ')} again`
    case 'reconnect':
      return `disconnect ${volume} from ${action.peer.name} and connect it again`
  }
}
