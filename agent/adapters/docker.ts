/**
 * The host's docker daemon, over its local socket. Every request goes through `dial`, so there is one place for the
 * plan gate, for deadlines, for cancellation and for turning docker's answers into HiveErrors.
 */
import { Agent } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { inspect } from 'node:util'
import Docker from 'dockerode'
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { pause } from './docker/wait.ts'
import { assertMayMutate } from './gate.ts'

export interface CallOptions {
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  /** An archive that is the request's body instead of `body`: its file's path, or its bytes as they come. */
  readonly file?: string | Readable
  readonly signal?: AbortSignal
  /** Milliseconds until the request is given up. Default 60 000; of streams, until they begin. */
  readonly timeout?: number
  readonly auth?: RegistryAuth | undefined
  /** Milliseconds for which a read is asked again while the swarm has no leader. Default 30 000. */
  readonly electionPatience?: number
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
type Kind = 'json' | 'stream' | 'hijack'

const defaultTimeout = 60_000

let socketPath = '/var/run/docker.sock'
let client: Docker | undefined
const mutationListeners: ((path: string) => void)[] = []

/** Where docker listens. Meant for start-up and for tests; default /var/run/docker.sock. */
export function useDockerSocket(path: string): void {
  socketPath = path
  client = undefined
}

/** `listener` hears the path of every request that is not a read, before it is sent and after its answer. */
export function onMutation(listener: (path: string) => void): void {
  mutationListeners.push(listener)
}

// Connections are not kept: a dockerd that restarts would leave dead ones behind, and a new one costs microseconds.
const modemOf = (): Docker['modem'] => {
  client ??= new Docker({ socketPath, agent: opaque(new Agent({ keepAlive: false })), version: '' } as Docker.DockerOptions)
  return client.modem
}

/**
 * docker-modem formats every request for its debug output, whether or not that is on: with `util.inspect` to any depth, so
 * through the agent and the signal over all open connections, which takes seconds where many are open. This shows as its name.
 */
function opaque<T extends object>(value: T): T {
  return Object.defineProperty(value, inspect.custom, { value: () => value.constructor.name })
}

/** Milliseconds: swarm's managers took 10 to 27 s to elect a leader after theirs was lost. */
const defaultElectionPatience = 30_000

/**
 * Answers docker's JSON. Throws HiveError: 'unreachable' when docker does not run, 'not-found', 'conflict', 'timeout', else
 * 'command-failed'. While the swarm's managers elect a leader it asks again.
 */
export async function dockerGet<T>(path: string, options: CallOptions = {}): Promise<T> {
  const until = Date.now() + (options.electionPatience ?? defaultElectionPatience)
  for (;;) {
    try {
      return (await dial('GET', path, 'json', options)) as T
    } catch (error) {
      if (!isElecting(error) || Date.now() >= until) throw error
      await pause(500, options.signal ?? new AbortController().signal)
    }
  }
}

const isElecting = (error: unknown): boolean => error instanceof HiveError && /swarm does not have a leader/i.test(error.message)

export const dockerPost = <T>(path: string, options: CallOptions = {}): Promise<T> => dial('POST', path, 'json', options) as Promise<T>
export const dockerPut = (path: string, options: CallOptions = {}): Promise<unknown> => dial('PUT', path, 'json', options)
export const dockerDelete = (path: string, options: CallOptions = {}): Promise<unknown> => dial('DELETE', path, 'json', options)

/** The answer's body as it comes; end it by `destroy` or by the signal. */
export const dockerStream = (method: 'GET' | 'HEAD' | 'POST', path: string, options: CallOptions = {}): Promise<Readable> =>
  dial(method, path, 'stream', options) as Promise<Readable>

/** A POST whose connection becomes a two-way stream (exec, attach). */
export const dockerHijack = (path: string, options: CallOptions = {}): Promise<Duplex> => dial('POST', path, 'hijack', options) as Promise<Duplex>

/** The status docker answered, where an error came from an answer. */
export function dockerStatus(error: unknown): number | undefined {
  const cause = error instanceof HiveError ? error.cause : error
  const status = (cause as { statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' ? status : undefined
}

export const isNotFound = (error: unknown): boolean => dockerStatus(error) === 404

/** undefined instead of docker's 404. */
export const orUndefined = <T>(promise: Promise<T>): Promise<T | undefined> =>
  promise.catch((error: unknown) => {
    if (isNotFound(error)) return undefined
    throw error
  })

/** Docker's X-Registry-Auth header. */
const registryAuth = (auth: RegistryAuth) => ({ username: auth.user, password: auth.password, serveraddress: auth.server })

const okCodes: Record<number, true> = { 101: true, 200: true, 201: true, 202: true, 204: true, 304: true }

/** Names from callers are parts of paths: none may become a query or lead elsewhere. */
const isPlain = (path: string): boolean => /^\/([\w.\-/:@+~!*'()]|%[0-9a-f]{2})*$/i.test(path) && !/(\/|%2f)(\.|%2e){2}(\/|%2f|$)/i.test(path)

async function dial(method: Method, path: string, kind: Kind, options: CallOptions): Promise<unknown> {
  const reads = method === 'GET' || method === 'HEAD'
  if (!reads) assertMayMutate(`ask docker to ${method} ${path}`)
  if (!isPlain(path)) throw new HiveError('invalid-input', `docker has nothing of the name ${path}`)
  const announce = (): void => {
    if (!reads) for (const listener of mutationListeners) listener(path)
  }
  announce()
  // The deadline covers the answer's beginning only, so that a followed log may last.
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), options.timeout ?? defaultTimeout)
  const signal = opaque(options.signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, options.signal]))
  try {
    return await new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new Error('aborted'))
        return
      }
      modemOf().dial(
        {
          path: `${path}?`,
          method,
          options: { _query: queryOf(options.query), _body: options.body ?? {} },
          statusCodes: okCodes as unknown as Record<string, boolean | string>,
          isStream: kind === 'stream',
          hijack: kind === 'hijack',
          openStdin: kind === 'hijack',
          abortSignal: signal,
          ...(options.file === undefined ? {} : { file: options.file }),
          ...(options.auth === undefined || options.auth.user === '' ? {} : { authconfig: registryAuth(options.auth) }),
        } as Parameters<Docker['modem']['dial']>[0],
        (error: unknown, answer: unknown) => (error ? reject(error) : resolve(answer)),
      )
    })
  } catch (error) {
    throw asHiveError(error, `${method} ${path}`, options, deadline.signal.aborted)
  } finally {
    clearTimeout(timer)
    announce()
  }
}

/** Values that are not strings go as JSON, as docker's filters want it; undefined ones are left out. */
function queryOf(query: Readonly<Record<string, unknown>> = {}): Record<string, string> {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]))
}

function asHiveError(error: unknown, what: string, options: CallOptions, timedOut: boolean): HiveError {
  if (options.signal?.aborted === true) return new HiveError('cancelled', `docker: ${what} was stopped`, { cause: error })
  if (timedOut) return new HiveError('timeout', `docker: no answer to ${what} within ${(options.timeout ?? defaultTimeout) / 1000} s`, { cause: error })
  const { code, statusCode, json } = error as { code?: string; statusCode?: number; json?: unknown }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE')
    return new HiveError('unreachable', 'docker is not running yet', { cause: error, hint: 'systemctl status docker on the host tells why' })
  const said = (json as { message?: unknown } | null | undefined)?.message
  const text =
    typeof said === 'string'
      ? said
      : messageOf(error)
          .replace(/^\(HTTP code \d+\) [^-]*- /, '')
          .trim()
  return new HiveError(statusCode === 404 ? 'not-found' : statusCode === 409 ? 'conflict' : 'command-failed', `docker: ${text}`, { cause: error })
}
