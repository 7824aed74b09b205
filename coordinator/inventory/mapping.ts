import { UnsafeText } from './yaml-source.ts'

export type Mapping = Readonly<Record<string, unknown>>

export const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof UnsafeText)

export const isTemplateText = (value: unknown): boolean => typeof value === 'string' && (value.includes('{{') || value.includes('{%'))

/** A value as it can be shown in a message. */
export const describe = (value: unknown): string => {
  if (value === null || value === undefined) return 'empty'
  if (value instanceof UnsafeText) return describe(value.text)
  if (Array.isArray(value)) return 'a list'
  if (isMapping(value)) return 'a mapping'
  return typeof value === 'string' ? `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'` : String(value)
}
