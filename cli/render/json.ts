/** Machine-readable output: events as JSON lines on standard error, the result as one document on standard output. */
import type { Renderer } from './renderer.ts'

const plainValue = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  return value
}

export function jsonRenderer(): Renderer {
  const line = (value: unknown): void => void process.stderr.write(`${JSON.stringify(value, plainValue)}\n`)
  return {
    event: line,
    result: (data) => void process.stdout.write(`${JSON.stringify(data, plainValue, 2)}\n`),
    error: (error) => line({ code: 'error', error }),
    close: () => undefined,
  }
}
