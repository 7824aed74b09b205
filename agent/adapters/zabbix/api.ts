/** Zabbix' web API, of 6.0 and later. Calls that change something go through the gate, and are counted. */
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { assertMayMutate } from '../gate.ts'

/** Milliseconds; an import of templates may take that long on a small machine. */
const callTimeout = 120_000

const reads = /\.(?:get|importcompare|version|login|logout|checkAuthentication)$/

export interface Access {
  /** Of the web UI, on 127.0.0.1. */
  readonly port: number
  readonly user: string
  readonly password: string
}

export interface ApiError {
  readonly code: number
  readonly message: string
  readonly data: string
}

export class ZabbixApi {
  readonly #url: string
  readonly #signal: AbortSignal
  #version: readonly [number, number] = [0, 0]
  #session: string | undefined
  #id = 0
  #writes = 0

  private constructor(port: number, signal: AbortSignal) {
    this.#url = `http://127.0.0.1:${port}/api_jsonrpc.php`
    this.#signal = signal
  }

  /** Asks who is there. Throws 'unreachable' where nothing that speaks Zabbix' API answers, 'unsupported' below 6.0. */
  static async connect(port: number, signal: AbortSignal): Promise<ZabbixApi> {
    const api = new ZabbixApi(port, signal)
    const version = await api.#call('apiinfo.version', {})
    const [major, minor] = String(version).split('.').map(Number)
    api.#version = [major ?? 0, minor ?? 0]
    if (!api.atLeast(6, 0)) throw new HiveError('unsupported', `Zabbix ${String(version)} is too old`, { hint: 'Zabbix 6.0 and later are supported' })
    return api
  }

  atLeast(major: number, minor: number): boolean {
    const [mine, my] = this.#version
    return mine > major || (mine === major && my >= minor)
  }

  /** How many calls changed something. */
  get writes(): number {
    return this.#writes
  }

  /** false where user or password are wrong. */
  async login(user: string, password: string): Promise<boolean> {
    try {
      this.#session = undefined
      this.#session = String(await this.#call('user.login', { username: user, password }))
      return true
    } catch (error) {
      if (error instanceof HiveError && error.code === 'denied') return false
      throw error
    }
  }

  /** Best effort: a session that is left ends by itself. */
  async logout(): Promise<void> {
    if (this.#session === undefined) return
    await this.#call('user.logout', []).catch(() => undefined)
    this.#session = undefined
  }

  /** Throws 'command-failed' with what Zabbix says, 'denied' where it does not take the log-in, 'unreachable', 'timeout'. */
  async call<T>(method: string, params: unknown): Promise<T> {
    if (!reads.test(method)) {
      assertMayMutate(`call Zabbix' ${method}`)
      this.#writes += 1
    }
    return (await this.#call(method, params)) as T
  }

  async #call(method: string, params: unknown): Promise<unknown> {
    const token = method === 'apiinfo.version' || method === 'user.login' ? undefined : this.#session
    const inHeader = this.atLeast(6, 4)
    const body = { jsonrpc: '2.0', method, params, id: ++this.#id, ...(token === undefined || inHeader ? {} : { auth: token }) }
    const deadline = AbortSignal.timeout(callTimeout)
    let answer: unknown
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json-rpc', ...(token !== undefined && inHeader ? { authorization: `Bearer ${token}` } : {}) },
        body: JSON.stringify(body),
        signal: AbortSignal.any([this.#signal, deadline]),
      })
      if (!response.ok) throw new HiveError('unreachable', `Zabbix' web UI answers ${response.status}`)
      answer = await response.json()
    } catch (error) {
      if (this.#signal.aborted) throw new HiveError('cancelled', `Zabbix: ${method} was stopped`)
      if (error instanceof HiveError) throw error
      if (deadline.aborted) throw new HiveError('timeout', `Zabbix: no answer to ${method} within ${callTimeout / 1000} s`)
      throw new HiveError('unreachable', "Zabbix' web UI does not answer", { cause: error, hint: messageOf((error as { cause?: unknown }).cause ?? error) })
    }
    const { result, error } = answer as { readonly result?: unknown; readonly error?: ApiError }
    if (error === undefined) return result
    const said = `${error.message} ${error.data}`.trim()
    const denied = /incorrect user ?name or password|login name or password is incorrect|not authori[sz]ed|re-login/i.test(said)
    throw new HiveError(denied ? 'denied' : 'command-failed', `Zabbix: ${method}: ${said}`)
  }
}

/** A difference between what is and what should be, and what takes it away. */
export interface Change {
  /** For people; never a secret. */
  readonly what: string
  readonly apply: () => Promise<unknown>
}
