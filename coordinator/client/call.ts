/** Any RPC of an agent by its name, from JSON to JSON, by the contract's descriptors. */
import { type create, type DescMethod, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf'
import { registry, rpcNames } from '../../proto/descriptors.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { AgentClient } from './agent-client.ts'
import type { CallOptions, Method } from './method.ts'

/** All RPCs that `callRpc` knows: "hive.v1.StepService/Plan". */
export const callableRpcs = (): readonly string[] => rpcNames()

export interface CallRequest extends CallOptions {
  readonly client: Pick<AgentClient, 'channel'>
  /** "SwarmService/ListNodes", with or without "hive.v1." before it. */
  readonly method: string
  /** In protobuf's JSON form; for a method that takes a stream an array of requests. */
  readonly json: unknown
}

/**
 * Calls any RPC; yields each answer in protobuf's JSON form. Throws HiveError 'not-found' for an unknown method and
 * 'invalid-input' for JSON that is not such a request.
 */
export async function* callRpc({ client, method: name, json, ...options }: CallRequest): AsyncGenerator<JsonValue> {
  const found = findMethod(name)
  const method: Method<unknown, unknown> = {
    path: `/${found.parent.typeName}/${found.name}`,
    requestStream: found.methodKind === 'client_streaming' || found.methodKind === 'bidi_streaming',
    responseStream: found.methodKind === 'server_streaming' || found.methodKind === 'bidi_streaming',
    requestSerialize: (value) => Buffer.from(toBinary(found.input, value as ReturnType<typeof create>)),
    responseDeserialize: (bytes) => fromBinary(found.output, bytes),
  }
  const request = method.requestStream ? (Array.isArray(json) ? json : [json]).map((one) => parse(found, one)) : parse(found, json)
  const answer = client.channel.call(method, request, options)
  const printed = (message: unknown): JsonValue =>
    toJson(found.output, message as ReturnType<typeof create>, { alwaysEmitImplicit: true, registry: registry() })
  if (answer instanceof Promise) yield printed(await answer)
  else for await (const message of answer) yield printed(message)
}

function parse(method: DescMethod, json: unknown) {
  try {
    return fromJson(method.input, json as JsonValue, { registry: registry() })
  } catch (cause) {
    const fields = method.input.fields.map(({ jsonName }) => jsonName).join(', ') || 'none'
    throw new HiveError('invalid-input', `not a ${method.input.name}: ${messageOf(cause)}`, { hint: `its fields: ${fields}`, cause })
  }
}

function findMethod(name: string): DescMethod {
  const [service = '', method = ''] = name.replace(/^\//, '').split('/')
  const found = registry()
    .getService(service.includes('.') ? service : `hive.v1.${service}`)
    ?.methods.find((candidate) => candidate.name === method)
  if (found !== undefined) return found
  const near = rpcNames().filter((known) => known.toLowerCase().includes((method || service).toLowerCase()))
  throw new HiveError('not-found', `there is no RPC ${name}`, {
    hint: `${near.length === 0 ? 'all RPCs' : 'similar'}: ${(near.length === 0 ? rpcNames() : near).join(', ')}`,
  })
}
