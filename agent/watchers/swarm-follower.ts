/**
 * Gives this host what services that run on it ask for by labels (proto/follower-labels.ts): virtual addresses, forwardings from them, and marks of nodes.
 * Nothing of it is kept: each look compares what swarm says with what is there.
 *
 * An address is lent by the kernel for a minute and renewed, so that it goes with a follower that is dead. A follower that lives and hears nothing of
 * swarm takes it away itself (follower/standing.ts). Marks of nodes that swarm has given up are taken away by the managers that are left.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { FollowerStatus } from '#gen/hive/v1/follower.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { readOnly, writable } from '../adapters/gate.ts'
import { announce as tellNeighbours } from '../adapters/network/announce.ts'
import { answersPing } from '../adapters/network/ping.ts'
import { type CarryOut, carryOut, type Done, doAll, inWords } from './follower/carry-out.ts'
import { type Desired, desired, nothing, type Problem } from './follower/desired.ts'
import { hostDifferences, markDifferences, ownKey } from './follower/differences.ts'
import { managersInReach, readHost, readSwarm, type SwarmAnswer } from './follower/look.ts'
import type { HostSight, SwarmSight } from './follower/picture.ts'
import { answersOf, asked, type Checks, dueChecks, stillAsked } from './follower/router-check.ts'
import { stands } from './follower/standing.ts'
import { wakeUps } from './follower/wake-ups.ts'

/** Milliseconds between two looks, while nothing is heard of the swarm, and while no service asks for anything. */
const interval = 4_000
const haste = 1_000
const rest = 15_000
/** Milliseconds for a look, and for all that follows from it. */
const lookTime = 15_000
const actionTime = 60_000
/** So often neighbours are told, in one look after the other: a frame may be lost. */
const announcements = 3
/** Looks after which a manager does what the leading one should have done. */
const patience = 3

export interface FollowerOptions {
  readonly log: Logger
  readonly now: () => Date
  /** For tests: other ways to look and to act. */
  readonly swarm?: (signal: AbortSignal) => Promise<SwarmAnswer>
  readonly host?: typeof readHost
  readonly reach?: typeof managersInReach
  readonly act?: CarryOut
  readonly announce?: typeof tellNeighbours
  readonly ping?: typeof answersPing
}

export class SwarmFollower {
  readonly #options: FollowerOptions
  readonly #ended = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #sight: SwarmSight | undefined
  #heard: Date | undefined
  #checks: Checks = new Map()
  /** By `ownKey`: what this process gave to the host. */
  #held = new Set<string>()
  /** By `ownKey`: how often neighbours are to be told yet. */
  #untold = new Map<string, number>()
  #overdue = 0
  #silent = false
  /** Rules of a follower before this one may be there. */
  #rulesUnknown = true
  #wanted: Desired = nothing
  #problems: readonly Problem[] = []
  #told = new Map<string, string>()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** What it gave stays: the next agent takes it over, or the kernel takes the addresses back. */
  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await this.#loop
  }

  healthy(): boolean {
    return this.#problems.length === 0
  }

  status(): FollowerStatus {
    const { addresses, checks, rules, marks } = this.#wanted
    const answers = answersOf(this.#checks)
    return {
      addresses: addresses
        .filter((one) => this.#held.has(ownKey(one)))
        .map((one) => {
          const check = checks.find(({ address }) => address === one.address)
          const router = check === undefined ? '' : (answers.get(check.key) ?? 'asked')
          return { address: one.address, prefixLength: one.prefixLength, interface: one.interface, services: [...one.services], router }
        }),
      rules: rules.map(({ words }) => words[words.indexOf('--comment') + 1] ?? ''),
      marks: [...(marks?.get(this.#sight?.nodeId ?? '') ?? [])].sort(),
      problems: this.#problems.map((one) => ({ ...one })),
      heard: this.#sight === undefined ? undefined : this.#heard,
    }
  }

  /** One look and what follows from it. Answers whether any service asks for anything. */
  async once(): Promise<boolean> {
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(lookTime + actionTime)])
    const known = await this.#ask(AbortSignal.any([signal, AbortSignal.timeout(lookTime)]))
    // Nothing was heard since this agent began: what the one before it did may be right.
    if (!known) return true
    const sight = this.#sight
    const concerned = sight !== undefined && sight.services.length > 0
    if (!concerned && this.#held.size === 0 && !this.#rulesUnknown && !this.#hasMarks(sight)) {
      this.#wanted = nothing
      this.#tell([])
      return false
    }
    this.#checks = stillAsked(this.#checks, new Set(sight?.tasks.map(({ id }) => id)))
    const { host = readHost } = this.#options
    const look = (): Promise<HostSight> => readOnly(() => host(signal, this.#rulesUnknown || this.#forwards(sight)))
    const decide = (seen: HostSight): Desired => (sight === undefined ? nothing : desired(sight, seen, answersOf(this.#checks)))
    let seen = await look()
    this.#adopt(decide(seen), seen)
    let wanted = decide(seen)
    let done = await this.#make(wanted, seen, signal)
    // Routers are asked from addresses that are there, and only then is anything forwarded.
    if (await this.#askRouters(wanted, signal)) {
      seen = await look()
      wanted = decide(seen)
      done = [...done, ...(await this.#make(wanted, seen, signal))]
    }
    this.#rulesUnknown = false
    this.#wanted = wanted
    done = [...done, ...(await this.#mark(wanted, sight, signal))]
    await this.#announce(wanted, signal)
    this.#tell([...wanted.problems, ...failures(done)])
    return concerned
  }

  /** `#sight` is what swarm says, or said last while that stands. False while nobody said anything yet. */
  async #ask(signal: AbortSignal): Promise<boolean> {
    const { swarm = readSwarm, reach = managersInReach, now, log } = this.#options
    try {
      const answer = await readOnly(() => swarm(signal))
      this.#sight = answer.kind === 'sight' ? answer.sight : undefined
      this.#heard = now()
      this.#silent = false
      return true
    } catch (error) {
      if (this.#heard === undefined || this.#sight === undefined) return this.#heard !== undefined
      const { inReach, managers } = await readOnly(() => reach(AbortSignal.any([this.#ended.signal, AbortSignal.timeout(lookTime)]))).catch(() => unreached)
      const silence = Math.abs(now().getTime() - this.#heard.getTime())
      this.#silent = true
      if (stands(silence, inReach, managers)) return true
      const held = this.#held.size === 0 ? '' : ': its addresses are given back'
      log.warn({ follower: true, silence, inReach, managers }, `nothing is heard of the swarm (${messageOf(error)})${held}`)
      this.#sight = undefined
      this.#silent = false
      return true
    }
  }

  /** What a follower before this one left is taken over as it is: its router has answered. */
  #adopt(wanted: Desired, { links }: HostSight): void {
    for (const one of wanted.addresses) {
      const present = links.flatMap(({ addresses }) => addresses).some((other) => other.address === one.address && other.interface === one.interface)
      if (!present || this.#held.has(ownKey(one)) || !this.#rulesUnknown) continue
      for (const { key, address } of wanted.checks)
        if (address === one.address) this.#checks = new Map([...this.#checks, [key, { asked: 0, last: 0, answer: 'answers' }]])
    }
  }

  async #make(wanted: Desired, seen: HostSight, signal: AbortSignal): Promise<readonly Done[]> {
    const { act = carryOut } = this.#options
    const actions = hostDifferences(wanted, seen, this.#held)
    const done = await writable(() => doAll(actions, signal, act))
    for (const { action, error } of done) {
      if (error !== undefined) continue
      if (action.kind === 'add-address' || action.kind === 'renew-address') this.#held.add(ownKey(action.address))
      if (action.kind === 'add-address') this.#untold.set(ownKey(action.address), announcements)
      if (action.kind === 'remove-address') this.#held.delete(ownKey(action.address))
      if (action.kind !== 'renew-address') this.#options.log.info({ follower: true }, inWords(action))
    }
    // What is there already, and wanted, is this process's from now on.
    for (const one of wanted.addresses)
      if (seen.links.some(({ addresses }) => addresses.some((other) => other.address === one.address && other.secondsLeft !== undefined)))
        this.#held.add(ownKey(one))
    return done
  }

  /** Answers whether anything became known. */
  async #askRouters(wanted: Desired, signal: AbortSignal): Promise<boolean> {
    const { ping = answersPing, now } = this.#options
    const due = dueChecks(wanted.checks, this.#checks, now().getTime())
    if (due.length > 0) await this.#announce(wanted, signal)
    const answers = await Promise.all(due.map(({ router, address, family }) => readOnly(() => ping(router, address, family, signal)).catch(() => false)))
    const states = due.map(({ key }, index) => [key, asked(this.#checks.get(key), answers[index] === true, now().getTime())] as const)
    this.#checks = new Map([...this.#checks, ...states])
    return states.some(([, { answer }]) => answer !== undefined)
  }

  /** The leading manager does it; where it does not, the others do. */
  async #mark(wanted: Desired, sight: SwarmSight | undefined, signal: AbortSignal): Promise<readonly Done[]> {
    const { act = carryOut, log } = this.#options
    if (sight === undefined || this.#sightIsOld()) return []
    const changes = markDifferences(wanted, sight.nodes)
    this.#overdue = changes.length === 0 ? 0 : this.#overdue + 1
    if (changes.length === 0 || (!sight.leads && this.#overdue < patience)) return []
    const done = await writable(() => doAll(changes, signal, act))
    for (const { action, error } of done) if (error === undefined) log.info({ follower: true }, inWords(action))
    return done
  }

  async #announce({ addresses }: Desired, signal: AbortSignal): Promise<void> {
    const { announce = tellNeighbours, log } = this.#options
    const due = addresses.filter((one) => this.#held.has(ownKey(one)) && (this.#untold.get(ownKey(one)) ?? 0) > 0)
    for (const [link, ofLink] of Map.groupBy(due, (one) => one.interface)) {
      try {
        await writable(() =>
          announce(
            link,
            ofLink.map(({ address }) => address),
            signal,
          ),
        )
      } catch (error) {
        log.error({ follower: true }, `the neighbours on ${link} are not told of ${ofLink.map(({ address }) => address).join(', ')}: ${messageOf(error)}`)
      }
      for (const one of ofLink) this.#untold.set(ownKey(one), (this.#untold.get(ownKey(one)) ?? 1) - 1)
    }
  }

  /** An error line when a problem comes, one when it is over. */
  #tell(problems: readonly Problem[]): void {
    const { log } = this.#options
    const told = new Map(
      problems.map(({ service, label, message }) => [[service, label, message].join('\0'), [service, label, message].filter((word) => word !== '').join(': ')]),
    )
    for (const [key, text] of told) if (!this.#told.has(key)) log.error({ follower: true }, text)
    for (const [key, text] of this.#told) if (!told.has(key)) log.info({ follower: true }, `no longer: ${text}`)
    this.#told = told
    this.#problems = problems
  }

  #hasMarks = (sight: SwarmSight | undefined): boolean =>
    sight !== undefined && markDifferences({ marks: new Map(), markNames: new Set() }, sight.nodes).length > 0

  #forwards = (sight: SwarmSight | undefined): boolean =>
    this.#wanted.rules.length > 0 ||
    sight?.services.some(({ labels }) => Object.keys(labels).some((label) => /^HIVE_(?:DNAT_PORTS|ENABLE_VIP_SNAT)/.test(label))) === true

  #sightIsOld = (): boolean => this.#heard === undefined || Math.abs(this.#options.now().getTime() - this.#heard.getTime()) > lookTime + actionTime

  async #run(): Promise<void> {
    const wake = wakeUps(this.#ended.signal)
    while (!this.#ended.signal.aborted) {
      let concerned = true
      try {
        concerned = await this.once()
      } catch (error) {
        if (!this.#ended.signal.aborted) this.#tell([{ service: '', label: '', message: messageOf(error) }])
      }
      await Promise.race([
        delay(this.#silent ? haste : concerned ? interval : rest, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined),
        wake.next(),
      ])
    }
  }
}

/** Of a host whose docker does not answer. */
const unreached = { inReach: 0, managers: 1 }

const failures = (done: readonly Done[]): readonly Problem[] =>
  done.flatMap(({ action, error }) => (error === undefined ? [] : [{ service: serviceOf(action), label: '', message: `${inWords(action)}: ${error}` }]))

const serviceOf = (action: Done['action']): string =>
  action.kind === 'add-address' || action.kind === 'renew-address' ? action.address.services.join(', ') : ''
