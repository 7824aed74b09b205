/** Reads what ansible-playbook tells (see callback-plugin.ts): lines for people as they come, and why it failed. */
import { HiveError } from '../../../proto/errors.ts'
import { eventMarker } from './callback-plugin.ts'

interface Failure {
  readonly task: string
  readonly message: string
  readonly detail: readonly string[]
  readonly item: boolean
}

/** What a play changed. */
export interface PlaySummary {
  readonly tasks: number
  readonly changed: number
}

const lastLinesKept = 20

/**
 * Feed it each line of output. `secrets` (shorter than 6 characters are left alone) never come out of it again.
 */
export class AnsibleOutput {
  readonly #log: (line: string) => void
  readonly #secrets: readonly string[]
  readonly #other: string[] = []
  #failure: Failure | undefined
  #itemFailure: Failure | undefined
  #nothingMatched = false
  #tasks = 0
  #changed = 0

  constructor(log: (line: string) => void, secrets: readonly string[] = []) {
    this.#log = log
    this.#secrets = [...secrets].filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length)
  }

  line(text: string): void {
    if (!text.startsWith(eventMarker)) {
      const clean = this.#mask(text.trimEnd())
      if (clean !== '') this.#other.push(clean)
      if (this.#other.length > lastLinesKept) this.#other.shift()
      return
    }
    let event: Record<string, unknown>
    try {
      event = JSON.parse(text.slice(eventMarker.length)) as Record<string, unknown>
    } catch {
      return
    }
    this.#event(event)
  }

  summary(): PlaySummary {
    return { tasks: this.#tasks, changed: this.#changed }
  }

  /** The error of a run that ended with this exit code, or undefined where all went well. */
  error(exitCode: number | null, what: string): HiveError | undefined {
    if (this.#nothingMatched) return new HiveError('internal', `${what}: Ansible does not know this host`, { log: this.#other })
    if (exitCode === 0) return undefined
    const failure = this.#failure
    if (failure === undefined) {
      const end = exitCode === null ? 'was killed' : `ended with exit code ${exitCode}`
      return new HiveError('command-failed', `${what}: ansible-playbook ${end}`, { log: this.#other })
    }
    const detail = this.#itemFailure?.task === failure.task ? this.#itemFailure : failure
    return new HiveError('command-failed', `${what}: task "${failure.task}" failed: ${detail.message}`, { log: detail.detail })
  }

  #event(event: Record<string, unknown>): void {
    const task = this.#mask(textOf(event['task']))
    switch (event['event']) {
      case 'task':
        this.#tasks += 1
        this.#log(task)
        return
      case 'retry':
        this.#log(`${task}: attempt ${textOf(event['attempt'])} of ${textOf(event['of'])} failed`)
        return
      case 'nothing':
        this.#nothingMatched = true
        return
      case 'result':
        this.#result(event, task)
        return
      default:
        return
    }
  }

  #result(event: Record<string, unknown>, task: string): void {
    const status = textOf(event['status'])
    if (status === 'changed') {
      this.#changed += 1
      this.#log(`${task}: changed`)
    }
    if (status !== 'failed' && status !== 'unreachable') return
    const failure = this.#failureOf(event, task)
    if (event['item'] === true) {
      this.#itemFailure = failure
      return
    }
    if (event['ignored'] === true) {
      this.#log(`${task}: failed, ignored: ${failure.message}`)
      return
    }
    // The first one is the cause; what fails after it (rescue, handlers) is not.
    this.#failure ??= failure
    this.#log(`${task}: ${status}: ${failure.message}`)
  }

  #failureOf(event: Record<string, unknown>, task: string): Failure {
    const text = (key: string): string => this.#mask(textOf(event[key])).trim()
    const streams = [text('stdout'), text('stderr'), text('module_stdout'), text('module_stderr'), text('exception')]
    const detail = streams.flatMap((stream) => (stream === '' ? [] : stream.split('\n'))).slice(-lastLinesKept)
    const message = (text('msg').split('\n')[0] ?? '').trim()
    const code = text('rc')
    return {
      task,
      message: message === '' ? (code === '' ? 'no message' : `return code ${code}`) : message,
      detail: [...text('msg').split('\n').slice(1, lastLinesKept), ...detail],
      item: event['item'] === true,
    }
  }

  #mask(text: string): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, '********'), text)
  }
}

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : String(value))
