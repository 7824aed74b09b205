/** What is around every call: role, deadline, gate, audit, errors and back-pressure. */
import { once } from 'node:events'
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
} from '@grpc/grpc-js'
import type { Logger } from 'pino'
import { requestTypeOf } from '../../proto/descriptors.ts'
import { HiveError } from '../../proto/errors.ts'
import { hasNul } from '../../proto/plain-text.ts'
import { redact } from '../../proto/redact.ts'
import { refusal, roleOf, rules } from '../../proto/roles.ts'
import { toErrorInfo, toServiceError } from '../../proto/status.ts'
import { readOnly, writable } from '../adapters/gate.ts'
import type { AuditLog } from './audit-log.ts'
import type { Doorkeeper } from './doorkeeper.ts'
import type { CallContext, Caller, ServiceRegistration } from './service.ts'

/** Milliseconds for calls with one answer whose caller set no deadline. Streams live until their caller goes. */
const defaultDeadline = 600_000

type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerReadableStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>

type Handler = (request: unknown, call: CallContext) => unknown

/** What watches over calls. */
export interface Watch {
  readonly log: Logger
  readonly doorkeeper: Doorkeeper
  readonly auditLog: AuditLog
}

/** The handlers of a service, as grpc-js wants them. */
export function implement(registration: ServiceRegistration, watch: Watch): Record<string, UntypedHandleCall> {
  const wrapped: Record<string, UntypedHandleCall> = {}
  for (const [name, method] of Object.entries(registration.definition)) {
    const handler = registration.handlers[name]
    if (handler !== undefined) wrapped[name] = wrap(method, handler as Handler, watch)
  }
  return wrapped
}

function wrap(method: MethodDefinition<unknown, unknown>, handler: Handler, watch: Watch): UntypedHandleCall {
  const rpc = method.path.slice(1)
  if (method.responseStream) {
    const streaming = (call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>): void => {
      const request = 'request' in call ? call.request : call
      void around(rpc, call, request, watch, async (context) => {
        for await (const message of handler(request, context) as AsyncIterable<unknown>) {
          if (context.signal.aborted) break
          if (!call.write(message)) await once(call, 'drain', { signal: context.signal })
        }
        context.signal.throwIfAborted()
      }).then(
        () => call.end(),
        (error: unknown) => call.emit('error', toServiceError(error)),
      )
    }
    return streaming as handleServerStreamingCall<unknown, unknown> | handleBidiStreamingCall<unknown, unknown>
  }
  const single: handleUnaryCall<unknown, unknown> & handleClientStreamingCall<unknown, unknown> = (
    call: ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>,
    answer: (error: ReturnType<typeof toServiceError> | null, value?: unknown) => void,
  ): void => {
    const request = method.requestStream ? call : (call as ServerUnaryCall<unknown, unknown>).request
    void around(rpc, call, request, watch, (context) => untilAborted(context.signal, handler(request, context) as Promise<unknown>)).then(
      (value) => answer(null, value),
      (error: unknown) => answer(toServiceError(error)),
    )
  }
  return single
}

/** A handler that ignores its signal must not keep its caller beyond the deadline. */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

async function around<T>(rpc: string, call: AnyCall, request: unknown, watch: Watch, work: (context: CallContext) => Promise<T>): Promise<T> {
  const { log, doorkeeper } = watch
  const caller = callerOf(call)
  const rule = rules[rpc]
  const begun = performance.now()
  const controller = new AbortController()
  // It fires after every call, successful ones too: nothing may be concluded from it but that nobody listens any more.
  const events: NodeJS.EventEmitter = call
  events.on('cancelled', () => controller.abort(new HiveError('cancelled', 'the caller is gone')))
  const timer = deadlineTimer(call, controller)
  // A stream that breaks tells so by its abort; without a listener its error would end the agent.
  events.on('error', () => undefined)
  const leave = doorkeeper.enter(caller, controller)
  let failure: unknown
  try {
    const refused = doorkeeper.whyNot(caller) ?? refusal(rpc, caller)
    if (refused !== undefined) throw new HiveError('denied', refused)
    if (request !== call && hasNul(request)) throw new HiveError('invalid-input', 'a text of the request has a NUL in it')
    const context: CallContext = { caller, rpc, signal: controller.signal }
    return await (rule?.mutates === true ? writable(() => work(context)) : readOnly(() => work(context)))
  } catch (error) {
    failure = controller.signal.aborted && !(error instanceof HiveError) ? controller.signal.reason : error
    if (!(error instanceof HiveError) && !controller.signal.aborted) log.error({ rpc, err: error }, 'a call failed unexpectedly')
    throw failure
  } finally {
    leave()
    clearTimeout(timer)
    if (rule?.mutates === true || (failure instanceof HiveError && failure.code === 'denied')) audit(watch, rpc, caller, call, request, begun, failure)
  }
}

function deadlineTimer(call: AnyCall, controller: AbortController): NodeJS.Timeout | undefined {
  const deadline = Number(call.getDeadline())
  const streams = !('request' in call) || 'write' in call
  const left = Number.isFinite(deadline) ? deadline - Date.now() : streams ? undefined : defaultDeadline
  // Longer than a timer can count means none.
  if (left === undefined || left > 2 ** 31 - 1) return undefined
  return setTimeout(() => controller.abort(new HiveError('timeout', 'the deadline of the call has passed')), Math.max(0, left))
}

function callerOf(call: AnyCall): Caller {
  const certificate = call.getAuthContext().sslPeerCertificate
  const subject = certificate?.subject as { CN?: string | string[]; O?: string | string[] } | undefined
  return {
    name: [subject?.CN ?? '(no name)'].flat().join(','),
    role: roleOf([subject?.O ?? []].flat()),
    address: call.getPeer(),
    certificate: certificate?.raw,
  }
}

/** One line for each call that may change the host, and for each refusal. Never a secret. */
function audit({ log, auditLog }: Watch, rpc: string, caller: Caller, call: AnyCall, request: unknown, begun: number, failure: unknown): void {
  const type = requestTypeOf(rpc)
  // What comes in a stream is content; the call itself is told.
  const what = request === call || type === undefined ? undefined : summary(rpc, redact(type, request))
  const error = failure === undefined ? undefined : toErrorInfo(failure)
  const record = {
    rpc,
    caller: caller.name,
    role: caller.role ?? 'none',
    peer: caller.address,
    request: what,
    milliseconds: Math.round(performance.now() - begun),
    ...(error === undefined ? { ok: true } : { ok: false, code: error.code, message: error.message }),
  }
  log.info({ audit: true, ...record }, 'audit')
  auditLog.write({ at: new Date().toISOString(), ...record })
}

/** Runs are told by their steps' ids: their specs fill pages. */
function summary(rpc: string, request: unknown): unknown {
  if (rpc !== 'hive.v1.StepService/StartRun') return request
  const { steps, ...rest } = request as { steps?: readonly { id: string }[] }
  return { ...rest, steps: steps?.map(({ id }) => id) }
}
