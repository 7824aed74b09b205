import { HiveError } from '../../proto/errors.ts'

/** A place in a file of the site: line and column are 1-based. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
  /** For a text in literal style (`|`): where its first line begins. */
  readonly text?: { readonly line: number; readonly column: number } | undefined
}

/** One mistake in the site's files. */
export interface Problem {
  /** Relative to the site folder where it lies in it, else absolute. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** The keys that lead to it, as `stages.staging.cidr`; empty where the whole file is meant. */
  readonly path: string
  readonly message: string
  /** What to write instead. */
  readonly instead: string | undefined
}

/** `file:line:column: path: message (instead)`, one line. */
export const problemText = (problem: Problem): string =>
  `${problem.file}:${problem.line}:${problem.column}: ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}${
    problem.instead === undefined ? '' : ` — ${problem.instead}`
  }`

/** Everything that is wrong with an inventory, at once. Code `invalid-input`. */
export class InventoryError extends HiveError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('invalid-input', `the inventory has ${problems.length} ${problems.length === 1 ? 'mistake' : 'mistakes'}:\n${problems.map(problemText).join('\n')}`)
    this.name = 'InventoryError'
    this.problems = problems
  }
}

/** Collects mistakes and notices while an inventory is read; the same thing said twice is kept once. */
export class Findings {
  readonly #problems = new Map<string, Problem>()
  readonly #notices = new Set<string>()

  problem(at: Position, path: string, message: string, instead?: string): void {
    const problem: Problem = { file: at.file, line: at.line, column: at.column, path, message, instead }
    const key = `${at.file}:${at.line}:${at.column}:${message}`
    if (!this.#problems.has(key)) this.#problems.set(key, problem)
  }

  notice(text: string): void {
    this.#notices.add(text)
  }

  noticeAt(at: Position, path: string, text: string): void {
    this.#notices.add(`${at.file}:${at.line}:${at.column}: ${path}: ${text}`)
  }

  get problems(): readonly Problem[] {
    return [...this.#problems.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column)
  }

  get notices(): readonly string[] {
    return [...this.#notices]
  }

  throwIfAny(): void {
    if (this.#problems.size > 0) throw new InventoryError(this.problems)
  }
}
