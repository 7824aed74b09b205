/** Messages of the contract with random content, valid on the wire and mostly nonsense. */
import { create, type DescField, type DescMessage, type Message, ScalarType, toBinary } from '@bufbuild/protobuf'

/** Below `limit`, from 0. */
export type Random = (limit: number) => number

/** The same numbers for the same seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

const texts = [
  '',
  'a',
  'web',
  '../../x',
  '/none/of/this',
  '-rf',
  'a b',
  '\u0000',
  '\n',
  'ä€😀',
  '%s%n',
  '$(true)',
  '{{ 1 / 0 }}',
  '[',
  '(?=',
  '__proto__',
  'constructor',
  'sha256:zz',
  '999999999999999999999',
  '1.2.3.4',
  'x'.repeat(5000),
  '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
]
const numbers = [0, 1, 2, 7, 255, 65_535, 2 ** 31 - 1]
const bigs = [0n, 1n, 1024n, 2n ** 53n, 2n ** 63n - 1n]

/** Serialized. */
export const randomMessage = (type: DescMessage, random: Random): Uint8Array => toBinary(type, messageOf(type, random, 4))

function messageOf(type: DescMessage, random: Random, depth: number): Message {
  const message = create(type) as Message & Record<string, unknown>
  if (type.typeName === 'google.protobuf.Timestamp') {
    message['seconds'] = pick([0n, 1_700_000_000n, -62_135_596_800n, 253_402_300_799n], random)
    return message
  }
  for (const member of type.members) {
    if (random(4) === 0) continue
    if (member.kind === 'oneof') {
      const field = pick(member.fields, random)
      const value = fieldValue(field, random, depth)
      if (value !== undefined) message[member.localName] = { case: field.localName, value }
    } else {
      const value = fieldValue(member, random, depth)
      if (value !== undefined) message[member.localName] = value
    }
  }
  return message
}

function fieldValue(field: DescField, random: Random, depth: number): unknown {
  const single = (message: DescMessage | undefined, scalar: ScalarType | undefined): unknown => {
    if (message !== undefined) return depth === 0 ? create(message) : messageOf(message, random, depth - 1)
    return scalar === undefined ? random(9) : scalarOf(scalar, random)
  }
  switch (field.fieldKind) {
    case 'message':
      return depth === 0 ? undefined : messageOf(field.message, random, depth - 1)
    case 'scalar':
      return scalarOf(field.scalar, random)
    case 'enum':
      return random(9)
    case 'list':
      return Array.from({ length: random(4) }, () => single(field.message, field.scalar))
    case 'map':
      return Object.fromEntries(
        Array.from({ length: random(3) }, () => [field.mapKey === ScalarType.STRING ? `k${random(9)}` : random(9), single(field.message, field.scalar)]),
      )
  }
}

function scalarOf(scalar: ScalarType, random: Random): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return pick(texts, random)
    case ScalarType.BOOL:
      return random(2) === 1
    case ScalarType.BYTES:
      return randomBytes(random(200), random)
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return pick(bigs, random)
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return pick([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e30], random)
    default:
      return pick(numbers, random)
  }
}

export const randomBytes = (length: number, random: Random): Uint8Array => Uint8Array.from({ length }, () => random(256))

/** A message as a broken sender would send it: cut short, with bits turned, or with something behind it. */
export function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes)
  switch (random(3)) {
    case 0:
      return copy.subarray(0, random(copy.length + 1))
    case 1:
      for (let n = 0; n <= random(4) && copy.length > 0; n++) {
        const at = random(copy.length)
        copy[at] = (copy[at] ?? 0) ^ (1 << random(8))
      }
      return copy
    default:
      return Buffer.concat([copy, randomBytes(random(40), random)])
  }
}

function pick<T>(list: readonly T[], random: Random): T {
  const found = list[random(list.length)]
  if (found === undefined) throw new Error('nothing to choose from')
  return found
}
