/**
 * How a service is written here: plain async functions and async generators. What every call needs (role, deadline, audit,
 * gate, errors, back-pressure) is added around them in one place, calls.ts.
 */
import type { ServiceDefinition } from '@grpc/grpc-js'
import type { Role } from '../../proto/roles.ts'

export interface Caller {
  /** CN of the client certificate. */
  readonly name: string
  readonly role: Role | 'hive:agent' | undefined
  /** ADDRESS:PORT */
  readonly address: string
  /** DER. */
  readonly certificate: Uint8Array | undefined
}

export interface CallContext {
  readonly caller: Caller
  /** "hive.v1.StepService/Plan" */
  readonly rpc: string
  /** Aborted when the caller is gone or cancelled, or the deadline has passed. */
  readonly signal: AbortSignal
}

interface Method {
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly requestDeserialize: (bytes: Buffer) => unknown
  readonly responseDeserialize: (bytes: Buffer) => unknown
}
type In<M extends Method> = ReturnType<M['requestDeserialize']>
type Out<M extends Method> = ReturnType<M['responseDeserialize']>
type Argument<M extends Method> = M['requestStream'] extends true ? AsyncIterable<In<M>> : In<M>
type Result<M extends Method> = M['responseStream'] extends true ? AsyncIterable<Out<M>> : Promise<Out<M>>

/** One function per RPC, by the generated definition (`HostServiceService`). */
export type Handlers<D> = { readonly [K in keyof D]: D[K] extends Method ? (request: Argument<D[K]>, call: CallContext) => Result<D[K]> : never }

export interface ServiceRegistration {
  /** "hive.v1.HostService" */
  readonly name: string
  readonly definition: ServiceDefinition
  readonly handlers: Readonly<Record<string, (request: never, call: CallContext) => unknown>>
  /** What health answers for this service. Absent: it serves as long as the agent does. */
  readonly healthy?: (signal: AbortSignal) => Promise<boolean>
}

/** Joins a generated definition with its handlers; a missing or mistyped handler does not compile. */
export function service<D extends Readonly<Record<string, Method>>>(
  definition: D,
  handlers: Handlers<D>,
  healthy?: (signal: AbortSignal) => Promise<boolean>,
): ServiceRegistration {
  const path = Object.values(definition)[0]?.path ?? ''
  return {
    name: path.slice(1, path.lastIndexOf('/')),
    definition: definition as unknown as ServiceDefinition,
    handlers: handlers as unknown as ServiceRegistration['handlers'],
    ...(healthy === undefined ? {} : { healthy }),
  }
}
