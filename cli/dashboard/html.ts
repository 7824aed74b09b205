/** HTML from templates in which everything that is not a template is escaped. Pure. */
import { stripVTControlCharacters } from 'node:util'

/** Markup that a template made. Nothing else makes one. */
export class Markup {
  readonly #text: string
  private constructor(text: string) {
    this.#text = text
  }
  /** For `html` alone: its literal parts are written in this program. */
  static of(text: string): Markup {
    return new Markup(text)
  }
  toString(): string {
    return this.#text
  }
}

export type Part = Markup | string | number | undefined | readonly Part[]

/**
 * The literal parts as they are, all values escaped, so that they may stand between tags and in quoted attributes. Lists are joined, `undefined` is nothing.
 * A value never stands for a name of a tag or attribute, nor in an attribute without quotes.
 */
export const html = (literals: TemplateStringsArray, ...values: readonly Part[]): Markup =>
  Markup.of(literals.map((literal, index) => literal + (index < values.length ? textOf(values[index]) : '')).join(''))

function textOf(value: Part): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.toString()
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value))
  return value.map(textOf).join('')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** What a terminal would act on is taken out; control characters, and those that turn the direction of the text around them, are shown as U+FFFD. */
export const escaped = (text: string): string =>
  stripVTControlCharacters(text)
    .toWellFormed()
    .replace(unshowable, '\uFFFD')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')

const unshowable = /(?![\t\n])[\p{Cc}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu
