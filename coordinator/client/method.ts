/** The shapes of ts-proto's method definitions, and the promise API made of them. */

/** One RPC, as ts-proto defines it (`StepServiceService.plan`). */
export interface Method<Request, Response> {
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly requestSerialize: (value: Request) => Buffer
  readonly responseDeserialize: (value: Buffer) => Response
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds; 30 000 unless told for calls with one answer, none for streams. */
  readonly deadline?: number | undefined
  /** For answers that stream: milliseconds without a message after which the host counts as unreachable. None unless told. */
  readonly silence?: number | undefined
}

/** A method's function: one request or a stream of them, one answer or a stream of them. */
export type Call<M> = M extends {
  readonly requestStream: infer Q
  readonly responseStream: infer S
  readonly requestSerialize: (value: infer Request) => Buffer
  readonly responseDeserialize: (value: Buffer) => infer Response
}
  ? (
      request: Q extends true ? AsyncIterable<Request> | Iterable<Request> : Request,
      options?: CallOptions,
    ) => S extends true ? AsyncIterable<Response> : Promise<Response>
  : never

export type ServiceDefinition = Readonly<Record<string, Method<never, unknown>>>

/** A service with all its methods as functions. */
export type ServiceCalls<S> = { readonly [K in keyof S]: Call<S[K]> }
