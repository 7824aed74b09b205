/** One line of docs/inventory-reference.md. Texts are Markdown. */
export interface Entry {
  /** What may be written: "text", "list of mappings", "whole number, GB". "literal" where no template may. */
  readonly type: string
  /** What counts where nothing is written: "needed" where something must be, '' where there is none. */
  readonly otherwise: string
  readonly meaning: string
  /** A line of YAML. */
  readonly example: string
  /** hive-builder has no such name. */
  readonly ours: boolean
}

/** Every name of a kind, with its line: a name without one does not compile. */
export type Described<Name extends string> = Readonly<Record<Name, Entry>>

export const entry = (type: string, otherwise: string, meaning: string, example: string, { ours = false }: { readonly ours?: boolean } = {}): Entry => ({
  type,
  otherwise,
  meaning,
  example,
  ours,
})
