/** A word of the page, and how it is to be taken. */
import type { OperationKind } from './operations.ts'

/** It is never told by colour alone. */
export type Tone = 'good' | 'bad' | 'warn' | 'quiet'

export interface Mark {
  readonly text: string
  readonly tone: Tone
}

export const mark = (text: string, tone: Tone): Mark => ({ text, tone })

/** Something that may be done to a service or a host, by its name. */
export interface Action {
  readonly kind: OperationKind
  readonly name: string
}
