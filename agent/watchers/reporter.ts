/**
 * Tells Zabbix of this host, as /etc/hive-agent/monitoring.json says; without that file it sleeps. What was found goes through a queue on
 * disk, in order; what says that the agent is there goes beside it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { RunFacts } from './reporter/collect/runs.ts'
import type { Collector } from './reporter/collector.ts'
import { allCollectors } from './reporter/collectors.ts'
import { loadMonitoring, type MonitoringConfiguration, monitoringPath, versionOf } from './reporter/configuration.ts'
import { Delivery, type Send } from './reporter/delivery.ts'
import { type Found, LookAround } from './reporter/look-around.ts'
import { Pace } from './reporter/pace.ts'
import { PassiveListener } from './reporter/passive.ts'
import { newRound } from './reporter/round.ts'
import { asText, clockWork, type Sample, type Value } from './reporter/value.ts'
import { defaultLimits, type QueueLimits, ValueQueue } from './reporter/value-queue.ts'
import { type Encryption, sendValues, type ZabbixServer } from './reporter/zabbix-sender.ts'

/** Milliseconds between two looks at the configuration. */
const attention = 2_000
/** Seconds that the intervals of the catalogue are meant for. */
const usualInterval = 60
/** Milliseconds that what is under way gets when the agent stops. */
const farewell = 3_000

export interface ReporterOptions {
  readonly stateDir: string
  readonly pkiDir: string
  readonly version: string
  readonly started: Date
  readonly runs: RunFacts
  readonly log: Logger
  readonly now: () => Date
  /** For tests: another file, other collectors, another way to send, a smaller queue. */
  readonly path?: string
  readonly collectors?: readonly Collector[]
  readonly send?: (server: ZabbixServer) => Send
  readonly limits?: QueueLimits
}

/** What there is while something is to be reported. */
interface Work {
  readonly configuration: MonitoringConfiguration
  readonly server: ZabbixServer
  readonly send: Send
  readonly queue: ValueQueue
  readonly delivery: Delivery
  readonly passive: PassiveListener | undefined
}

export class Reporter {
  readonly #options: ReporterOptions
  readonly #path: string
  readonly #ended = new AbortController()
  readonly #stamp: () => Pick<Value, 'clock' | 'ns'>
  readonly #pace = new Pace()
  readonly #look: LookAround
  /** What was last found, by host and key: what passive checks are answered from. */
  readonly #latest = new Map<string, string>()
  #queue: ValueQueue | undefined
  #work: Work | undefined
  #version: string | undefined
  #nextRound = 0
  #nextFlush = Number.POSITIVE_INFINITY
  #leads = false
  #complaint = ''
  #loop: Promise<void> = Promise.resolve()

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#path = options.path ?? monitoringPath
    this.#stamp = clockWork(() => this.#now())
    const { version, started, runs, pkiDir, stateDir } = options
    const agent = {
      version,
      started,
      queued: () => this.#work?.queue.length ?? 0,
      dropped: () => this.#work?.queue.takeDropped() ?? 0,
      refused: () => this.#work?.delivery.takeRefused() ?? 0,
    }
    this.#look = new LookAround(options.collectors ?? allCollectors({ agent, runs, pkiDir, backupNotes: join(stateDir, 'backups.json') }))
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Resolves when nothing is read or sent any more, or that takes too long. */
  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await Promise.race([this.#loop, delay(farewell, undefined, { ref: false })])
    await this.#work?.passive?.stop()
    await this.#queue?.close().catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        await this.#heed()
        if (this.#work !== undefined && this.#now() >= this.#nextRound) await this.#round(this.#work)
        else if (this.#work !== undefined && this.#now() >= this.#nextFlush) await this.#flush(this.#work)
      } catch (error) {
        this.#complain(messageOf(error))
      }
      const due = this.#work === undefined ? Number.POSITIVE_INFINITY : Math.min(this.#nextRound, this.#nextFlush) - this.#now()
      await delay(Math.max(100, Math.min(attention, due)), undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined)
    }
  }

  /** Takes notice of the configuration. One that can't be read ends the reporting, and is complained of. */
  async #heed(): Promise<void> {
    const version = await versionOf(this.#path)
    if (version === this.#version) return
    this.#version = version
    await this.#work?.passive?.stop()
    this.#work = undefined
    this.#latest.clear()
    const configuration = await loadMonitoring(this.#path)
    if (configuration === undefined) {
      this.#complaint = ''
      return
    }
    this.#queue ??= await ValueQueue.open(join(this.#options.stateDir, 'monitoring'), this.#options.limits ?? defaultLimits, () => this.#now())
    const queue = this.#queue
    const server = { address: configuration.server, port: configuration.port, encryption: await this.#encryption(configuration) }
    const send = this.#options.send?.(server) ?? ((values, signal) => sendValues(server, values, signal))
    const passive =
      configuration.passive === undefined
        ? undefined
        : new PassiveListener({
            configuration,
            passive: configuration.passive,
            encryption: server.encryption,
            version: this.#options.version,
            latest: this.#latest,
            now: () => this.#now(),
          })
    this.#work = { configuration, server, send, queue, delivery: new Delivery(queue, send, () => this.#now()), passive }
    this.#pace.forget()
    this.#look.forget()
    this.#nextRound = 0
    this.#options.log.info({ reporter: true, server: configuration.server, host: configuration.host }, 'reporting to Zabbix')
    await passive?.start()
  }

  async #encryption({ encryption }: MonitoringConfiguration): Promise<Encryption> {
    if (encryption.kind !== 'certificate') return encryption
    const read = (name: string): Promise<string> => readFile(join(this.#options.pkiDir, name), 'utf8')
    return { kind: 'certificate', ca: await read('ca.pem'), certificate: await read('cert.pem'), key: await read('key.pem') }
  }

  async #round(work: Work): Promise<void> {
    const { configuration, queue } = work
    const now = this.#now()
    const scale = configuration.interval / usualInterval
    this.#nextRound = now + configuration.interval * 1000
    this.#leads = false
    const round = newRound(this.#ended.signal)
    await this.#look.look({ configuration, round, signal: this.#ended.signal, now, mark: (name) => queue.mark(name) }, scale, (found) =>
      this.#keep(work, found, scale),
    )
    const problems = this.#look.problems()
    await this.#append(work, [
      { key: 'hive.agent.collectors.failed', value: problems.length },
      { key: 'hive.agent.collectors.errors', value: problems.join('\n') },
    ])
    await queue.sync()
    await this.#flush(work)
  }

  async #keep(work: Work, { collector, samples, marks = {} }: Found, scale: number): Promise<void> {
    if (work !== this.#work) return
    const { configuration } = work
    const now = this.#now()
    for (const { host, key, value } of samples) this.#latest.set(`${host ?? configuration.host}\n${key}`, asText(value))
    if (samples.some(({ host, key }) => host === configuration.swarmHost && key === 'hive.swarm.leader')) this.#leads = true
    const due = samples.filter((sample) => this.#pace.due(sample, now, collector.every, scale))
    await this.#append(work, due, marks)
  }

  async #append({ configuration, queue }: Work, samples: readonly Sample[], marks: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const values = samples.map(({ host = configuration.host, key, value }) => ({ host, key, value: asText(value), ...this.#stamp() }))
    try {
      await queue.append(values, marks)
    } catch (error) {
      // What has a mark is found again; the rest is lost.
      if (Object.keys(marks).length === 0) queue.drop(values.length)
      throw error
    }
  }

  /** First that the agent is there, which also shows whether Zabbix is. */
  async #flush({ configuration, send, delivery }: Work): Promise<void> {
    this.#nextFlush = Number.POSITIVE_INFINITY
    const signal = this.#ended.signal
    try {
      const { host, swarmHost } = configuration
      const live = [
        { host, key: 'hive.agent.ping', value: '1' },
        { host, key: 'hive.host.time', value: String(Math.floor(this.#now() / 1000)) },
      ]
      await send(this.#leads ? [...live, { host: swarmHost, key: 'hive.swarm.ping', value: '1' }] : live, signal)
      await delivery.flush(signal)
      if (this.#complaint !== '') this.#options.log.info({ reporter: true }, 'Zabbix takes values again')
      this.#complaint = ''
      const retry = delivery.nextRetry
      if (retry !== undefined) this.#nextFlush = this.#now() + Math.max(1000, retry)
    } catch (error) {
      this.#complain(messageOf(error))
    }
  }

  /** Once, not in each round. */
  #complain(what: string): void {
    if (what === this.#complaint || this.#ended.signal.aborted) return
    this.#complaint = what
    this.#options.log.warn({ reporter: true }, `nothing is reported to Zabbix: ${what}`)
  }

  #now(): number {
    return this.#options.now().getTime()
  }
}
