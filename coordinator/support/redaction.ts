/**
 * Texts that leave a site are freed of its secrets: of those that are known by value, in whatever form they are written, and of what looks like one.
 * Where that is not certain, rather too much goes than too little. Pure.
 */
import { isSecretKey } from '../inventory/render-inventory.ts'

/** Nothing that a secret is made of, so that masking makes no new one. */
export const redacted = '‹redacted›'

/** Shorter ones are part of ordinary words; what stands behind a name that tells of a secret goes whatever its length. */
const shortest = 4
/** Lines of a key that stand alone. */
const shortestLine = 16

export type Redact = (text: string) => string

/** `secrets`: by value. */
export function redactor(secrets: readonly string[]): Redact {
  const forms = [...new Set(secrets.flatMap((secret) => [secret, secret.trim()]).flatMap(formsOf))].filter((form) => form.length >= shortest)
  // The longest first: one may be a part of another.
  const known = forms.toSorted((a, b) => b.length - a.length).map(escaped)
  const all = known.length === 0 ? undefined : new RegExp(known.join('|'), 'g')
  return (text) => looksLikeSecrets.reduce((rest, [pattern, by]) => rest.replace(pattern, by), all === undefined ? text : text.replace(all, redacted))
}

/** How a secret may be written: as it is, in JSON, in a URL, in base64 beside something else, and each line of it. */
export function formsOf(secret: string): readonly string[] {
  const json = JSON.stringify(secret).slice(1, -1)
  const lines = secret.includes('\n')
    ? secret
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter((line) => line.length >= shortestLine)
    : []
  return [secret, json, JSON.stringify(json).slice(1, -1), ...inUrl(secret), ...base64Of(secret), Buffer.from(secret).toString('hex'), ...lines]
}

/** Half of a character has no such form. */
const inUrl = (secret: string): readonly string[] =>
  secret.isWellFormed() ? [encodeURIComponent(secret), encodeURIComponent(secret).replaceAll('%20', '+')] : []

/** By where in a longer text it begins: without the characters that depend on its neighbours. A few of them could be anything. */
function base64Of(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const certain = text.slice(offset === 0 ? 0 : offset + 1, Math.floor(((offset + bytes.length) * 8) / 6))
    return certain.length < 6 ? [] : [certain, certain.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

const word = '(?:pass(?:word|wd|phrase)?|secret|token|credentials?|psk|api[_-]?key|access[_-]?key|private[_-]?key|shared-secret|htpasswd)'

/** Names are bounded: a long line of letters would take its length squared. */
const looksLikeSecrets: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, redacted],
  // Swarm's join tokens and the key of a locked one.
  [/\bSWM(?:TKN|KEY)-[\w-]+/g, redacted],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, redacted],
  [/\b(authorization:?\s*(?:basic|bearer)\s+)[^\s"',]+/gi, `$1${redacted}`],
  [/(:\/\/[^/\s:@"']*:)[^/\s@"']+@/g, `$1${redacted}@`],
  // bcrypt, SHA-crypt and the like.
  [/\$(?:2[abxy]|5|6|y|apr1)\$[./\w$=-]{8,}/g, redacted],
  [
    new RegExp(
      `((?:\\\\*["'])?[\\w.-]{0,40}${word}[\\w.-]{0,40}(?:\\\\*["'])?\\s*[:=]\\s*)(\\\\*"(?:[^"\\\\]|\\\\(?!"))*\\\\*"|'[^']*'|[^\\s"',;}\\]]+)`,
      'gi',
    ),
    `$1${redacted}`,
  ],
  [new RegExp(`(\\b(?:--)?${word}\\s+)("[^"]*"|'[^']*')`, 'gi'), `$1${redacted}`],
]

/** As `redact`, of each text within; what stands under a key that names a secret goes whole. Dates and big numbers become texts. */
export function redactJson(value: unknown, redact: Redact): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (value instanceof Map) return redactJson(Object.fromEntries(value), redact)
  if (value instanceof Set) return redactJson([...value], redact)
  if (Array.isArray(value)) return value.map((one) => redactJson(one, redact))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      redact(key),
      isSecretKey(key) && typeof one !== 'object' && typeof one !== 'boolean' && one !== '' ? redacted : redactJson(one, redact),
    ]),
  )
}
