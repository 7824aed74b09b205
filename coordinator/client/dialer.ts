/** How the connection to an agent gets to its host: directly, or by whatever a provider's hosts need. */
import type { HiveError } from '../../proto/errors.ts'

export interface AgentAddress {
  /** Inventory name, in the agent's certificate. */
  readonly host: string
  readonly address: string
  readonly port: number
}

/** The way to one agent; connections that break are made anew over it. */
export interface Way {
  /** For gRPC: "ADDRESS:PORT" or "unix:PATH". */
  readonly target: string
  /** Why the last attempt did not get through, where the way itself knows; undefined where it did, or is open. */
  whyClosed(): HiveError | undefined
  /** Ends all connections over it. */
  close(): void
}

export interface Dialer {
  /** Milliseconds until a host that gives no answer at all counts as unreachable. */
  readonly patience: number
  /** Throws HiveError where there can be no way. */
  way(to: AgentAddress): Promise<Way>
}

export const directWay = ({ address, port }: AgentAddress): Way => ({
  target: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
  whyClosed: () => undefined,
  close: () => undefined,
})

export const directly: Dialer = { patience: 5_000, way: async (to) => directWay(to) }
