/** What a test can order of the daemon. */
export type Order =
  | { readonly do: 'raceOnReturn' }
  | { readonly do: 'replaceDisk'; readonly host: string; readonly volume: string }
  | { readonly do: 'renumber'; readonly host: string; readonly path: string; readonly nodeId: number }
  /** The host's thin pool has no room (what is written to a volume in it fails), or has some again. */
  | { readonly do: 'fillPool'; readonly host: string; readonly full: boolean }
  /** A command as if the host had run it: for looking, and for breaking things by hand. */
  | { readonly do: 'run'; readonly host: string; readonly argv: readonly string[] }
