/**
 * DRBD's own events: one `drbdsetup events2` for the agent, as long as somebody listens, and the picture that it gives. When it ends (no
 * module yet, killed, module replaced) it is started again, each time later; what changed in between is told as changes.
 */
import { spawn } from 'node:child_process'
import { EventEmitter, on, once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { parseEvent } from './event-line.ts'
import { type DrbdChange, DrbdView } from './view.ts'

export type { DrbdEvent } from './event-line.ts'
export type { DrbdChange, ResourceView } from './view.ts'

/** Milliseconds before it is started again; doubled each time up to the last, and from the beginning once it has lived that long. */
const firstPause = 500
const lastPause = 30_000

/** Lines of one follower. Ends with the follower; must end when the signal is aborted. */
export type Follow = (signal: AbortSignal) => AsyncIterable<string>

export interface EventsOptions {
  /** Default: drbdsetup's. */
  readonly follow?: Follow
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>
}

export class DrbdEvents {
  /** What is known now. Empty until `ready`. */
  readonly view = new DrbdView()
  readonly #emitter = new EventEmitter().setMaxListeners(0)
  readonly #follow: Follow
  readonly #pause: (milliseconds: number, signal: AbortSignal) => Promise<unknown>
  #listeners = 0
  #running: AbortController | undefined

  constructor({ follow = followDrbdsetup, pause = (milliseconds, signal) => wait(milliseconds, undefined, { signal, ref: false }) }: EventsOptions = {}) {
    this.#follow = follow
    this.#pause = pause
  }

  /** Tells each change from now on, until what it answers is called. Listeners must not throw. */
  subscribe(listener: (change: DrbdChange) => void): () => void {
    this.#emitter.on('change', listener)
    this.#hold()
    let subscribed = true
    return () => {
      if (!subscribed) return
      subscribed = false
      this.#emitter.off('change', listener)
      this.#letGo()
    }
  }

  /** Each change from now on (from the call, not from the first `next`), until the signal is aborted. */
  changes(signal: AbortSignal): AsyncGenerator<DrbdChange> {
    const changes = on(this.#emitter, 'change', { signal })
    this.#hold()
    signal.addEventListener('abort', () => this.#letGo(), { once: true })
    return untilAborted(changes, signal)
  }

  /** Once the picture is whole. Somebody must listen. Rejects when the signal is aborted. */
  async ready(signal: AbortSignal): Promise<void> {
    if (!this.view.complete) await once(this.#emitter, 'ready', { signal })
  }

  #hold(): void {
    this.#listeners++
    if (this.#running !== undefined) return
    this.#running = new AbortController()
    void this.#run(this.#running.signal)
  }

  #letGo(): void {
    this.#listeners--
    if (this.#listeners > 0) return
    this.#running?.abort()
    this.#running = undefined
  }

  async #run(signal: AbortSignal): Promise<void> {
    let pause = firstPause
    while (!signal.aborted) {
      const begun = performance.now()
      // Why it ended is of no use here: what DRBD has to say is in its status, and that nothing is followed shows in health.
      await this.#once(signal).catch(() => undefined)
      if (signal.aborted) return
      if (performance.now() - begun > lastPause) pause = firstPause
      await this.#pause(pause, signal).catch(() => undefined)
      pause = Math.min(pause * 2, lastPause)
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    this.view.restart()
    for await (const line of this.#follow(signal)) {
      if (signal.aborted) return
      const event = parseEvent(line)
      if (event === undefined) continue
      if (event === 'dumped') {
        for (const change of this.view.dumped()) this.#emitter.emit('change', change)
        this.#emitter.emit('ready')
        continue
      }
      const change = this.view.apply(event)
      if (change !== undefined) this.#emitter.emit('change', change)
    }
  }
}

async function* untilAborted(changes: AsyncIterable<unknown[]>, signal: AbortSignal): AsyncGenerator<DrbdChange> {
  try {
    for await (const [change] of changes) yield change as DrbdChange
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** It is no command with an end, so it has no deadline; it is killed with the signal. */
async function* followDrbdsetup(signal: AbortSignal): AsyncGenerator<string> {
  const child = spawn('drbdsetup', ['events2', '--timestamps', '--statistics'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
  const stop = (): boolean => child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  // A program that is not there ends its output, too.
  child.on('error', () => undefined)
  try {
    yield* createInterface({ input: child.stdout })
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

let shared: DrbdEvents | undefined

/** The one follower of this agent. */
export function drbdEvents(): DrbdEvents {
  shared ??= new DrbdEvents()
  return shared
}
