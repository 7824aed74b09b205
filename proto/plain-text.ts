/** Texts that no host can use: a NUL ends them for the kernel. Pure. */

/** Whether a message has a text with a NUL in it, however deep. Bytes are not looked at. */
export function hasNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0')
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return false
  return Array.isArray(value) ? value.some(hasNul) : Object.entries(value).some(([key, member]) => key.includes('\0') || hasNul(member))
}
