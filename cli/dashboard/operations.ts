/** What can be done from the page: as the commands of the same names do it, each by connections of its own, in the background. */
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import type { Emit } from '../../coordinator/events.ts'
import type { Verdict } from '../../coordinator/guard/verdict.ts'
import { weighLoss } from '../../coordinator/guard/weigh-loss.ts'
import type { Stage } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import { anyManager, knownService } from '../commands/find-container.ts'
import { findHost } from '../commands/find-host.ts'
import { reportOf } from '../render/report.ts'

export const operationKinds = ['restart', 'scale', 'rollback', 'drain', 'undrain'] as const
export type OperationKind = (typeof operationKinds)[number]

export interface OperationView {
  readonly id: number
  /** "restart web" */
  readonly title: string
  readonly started: Date
  readonly state: 'running' | 'done' | 'failed'
  /** What was told on the way, the last first, and how it ended. */
  readonly lines: readonly string[]
}

export interface Request {
  readonly kind: OperationKind
  /** Of a service or a host. */
  readonly name: string
  /** For `scale`. */
  readonly replicas: number | undefined
}

/** What the operator is shown before. */
export interface Question {
  readonly kind: OperationKind
  /** What must be typed. */
  readonly name: string
  readonly about: string
  /** Of draining. */
  readonly verdict: Verdict | undefined
  /** Of scaling. */
  readonly replicas: number | undefined
}

export interface Operator {
  /** Rejects with HiveError 'not-found' for what the stage does not have. */
  question(kind: OperationKind, name: string, signal: AbortSignal): Promise<Question>
  /** Throws HiveError 'not-found' as `question` does, and 'conflict' while the same is under way. */
  begin(request: Request): void
  /** The newest first. */
  readonly operations: readonly OperationView[]
}

const abouts: Readonly<Record<OperationKind, string>> = {
  restart: 'All its tasks are replaced, one after the other.',
  scale: 'It runs so many tasks until the next deploy, which goes by the inventory again.',
  rollback: 'Its last change is taken back as docker remembers it, until the next deploy.',
  drain: 'Its tasks are moved away, and it gets no others until it is undrained. The guard is asked again at the moment it is done.',
  undrain: 'It takes tasks again.',
}

/** How many that have ended are shown. */
const kept = 10
const lines = 20

type Growing = { -readonly [K in keyof OperationView]: OperationView[K] }

export interface StageOperatorOptions {
  /** To look with; it is not closed. */
  readonly stage: Stage
  /** A stage of its own for each operation. */
  readonly open: (emit: Emit) => Stage
  readonly signal: AbortSignal
  /** Called when something about `operations` is new. */
  readonly changed: () => void
}

export class StageOperator implements Operator {
  readonly #options: StageOperatorOptions
  readonly #running = new Set<Promise<void>>()
  #operations: readonly Growing[] = []
  #last = 0

  constructor(options: StageOperatorOptions) {
    this.#options = options
  }

  get operations(): readonly OperationView[] {
    return this.#operations
  }

  async question(kind: OperationKind, name: string, signal: AbortSignal): Promise<Question> {
    const { stage } = this.#options
    const found = this.#named(kind, name)
    const verdict = kind === 'drain' ? weighLoss(await stage.lookAtHosts(signal), { kind: 'tasks', host: findHost(stage.site, found).name }) : undefined
    return { kind, name: found, about: abouts[kind], verdict, replicas: kind === 'scale' ? await this.#replicas(found, signal) : undefined }
  }

  begin(request: Request): void {
    const { kind, replicas } = request
    const name = this.#named(kind, request.name)
    if (kind === 'scale' && replicas === undefined) throw new HiveError('invalid-input', 'how many tasks?')
    const title = `${kind} ${name}${kind === 'scale' ? ` ${replicas}` : ''}`
    if (this.#operations.some((one) => one.state === 'running' && one.title === title)) throw new HiveError('conflict', `${title} is under way`)
    this.#last += 1
    const operation: Growing = { id: this.#last, title, started: new Date(), state: 'running', lines: [] }
    const ended = this.#operations.filter(({ state }) => state !== 'running').slice(0, kept - 1)
    this.#operations = [operation, ...this.#operations.filter((one) => one.state === 'running' || ended.includes(one))]
    const work = this.#carryOut(operation, { ...request, name }).finally(() => this.#running.delete(work))
    this.#running.add(work)
    this.#options.changed()
  }

  /** What runs is waited for: draining that was interrupted is taken back. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  async #carryOut(operation: Growing, request: Request): Promise<void> {
    const { open, signal, changed } = this.#options
    const tell = (line: string): void => {
      operation.lines = [line, ...operation.lines].slice(0, lines)
      changed()
    }
    const stage = open((event) => {
      if (event.code === 'notice' || event.code === 'warning') tell(event.message)
    })
    try {
      const said = await act(stage, request, signal)
      operation.state = 'done'
      tell(said)
    } catch (error) {
      operation.state = 'failed'
      for (const { message } of reportOf(error)) tell(message)
    } finally {
      stage.close()
    }
  }

  /** As the stage writes it. */
  #named(kind: OperationKind, name: string): string {
    const { stage } = this.#options
    if (kind === 'drain' || kind === 'undrain') return findHost(stage.site, name).shortName
    knownService(stage, name)
    return name
  }

  async #replicas(name: string, signal: AbortSignal): Promise<number | undefined> {
    const manager = await anyManager(this.#options.stage, signal)
    const { services } = await manager.service.list({}, { signal })
    return services.find((service) => service.name === name)?.desired
  }
}

/** Answers what came of it, in words. */
async function act(stage: Stage, { kind, name, replicas = 0 }: Request, signal: AbortSignal): Promise<string> {
  const ofService = async (ask: (manager: AgentClient) => Promise<{ readonly reason: string }>): Promise<string> => {
    const { reason } = await ask(await anyManager(stage, signal))
    return reason === '' ? 'done' : reason
  }
  switch (kind) {
    case 'restart':
      return ofService(({ service }) => service.restart({ name }, { signal }))
    case 'scale':
      return ofService(({ service }) => service.scale({ name, replicas }, { signal }))
    case 'rollback':
      return ofService(({ service }) => service.rollback({ name }, { signal }))
    case 'drain':
      await stage.drainHost(findHost(stage.site, name).name, { allowed: new Set(), forced: new Set(), wait: false }, signal)
      return `${name} is drained`
    case 'undrain':
      await stage.undrainHost(findHost(stage.site, name).name, signal)
      return `${name} takes tasks`
  }
}

export const isOperation = (text: string): text is OperationKind => operationKinds.some((kind) => kind === text)
