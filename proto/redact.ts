/** Messages as they may be logged: fields marked debug_redact, and the content of files marked secret, are left out. */
import type { DescField, DescMessage } from '@bufbuild/protobuf'
import { registry } from './descriptors.ts'

export const mask = '***'

/** Bytes and texts above this length are told by their size only. */
const longest = 200

type Fields = Readonly<Record<string, unknown>>

/** A copy of a generated message, ready for JSON.stringify. `typeName` is its full name: "hive.v1.Step". */
export function redact(typeName: string, message: unknown): unknown {
  const type = registry().getMessage(typeName)
  if (type === undefined) throw new Error(`no message ${typeName}`)
  return redactMessage(type, message as Fields)
}

function redactMessage(type: DescMessage, message: Fields): unknown {
  if (message instanceof Date) return message
  const secretFile = type.typeName === 'hive.v1.File' && message['secret'] === true
  const copy: Record<string, unknown> = {}
  for (const field of type.fields) {
    const value = valueIn(field, message)
    if (value === undefined) continue
    const masked = field.proto.options?.debugRedact === true || (secretFile && field.name === 'content')
    copy[field.localName] = masked ? (isEmpty(value) ? value : mask) : redactField(field, value)
  }
  return copy
}

/** Members of a oneof are kept as {$case, value} under the oneof's name. */
function valueIn(field: DescField, message: Fields): unknown {
  if (field.oneof === undefined) return message[field.localName]
  const chosen = message[field.oneof.localName] as { $case: string; value: unknown } | undefined
  return chosen?.$case === field.localName ? chosen.value : undefined
}

function redactField(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'message':
      return redactMessage(field.message, value as Fields)
    case 'list':
      return (value as readonly unknown[]).map((item) => (field.listKind === 'message' ? redactMessage(field.message, item as Fields) : plain(item)))
    case 'map': {
      const type = field.mapKind === 'message' ? field.message : undefined
      return Object.fromEntries(
        Object.entries(value as Fields).map(([key, item]) => [key, type === undefined ? plain(item) : redactMessage(type, item as Fields)]),
      )
    }
    default:
      return plain(value)
  }
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'string' && value.length > longest) return `${value.slice(0, longest)}… (${value.length} characters)`
  return value
}

const isEmpty = (value: unknown): boolean =>
  value === '' || value === false || value === 0 || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
