/**
 * The one place where a plan is kept from changing anything. Every primitive that can change the host (a command, a
 * file write, a docker request that is not a read) asks here first.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

export type Mode = 'read' | 'write'

const mode = new AsyncLocalStorage<Mode>()

/** Runs `work` so that every mutation inside it, however deep, throws. */
export const readOnly = <T>(work: () => T): T => mode.run('read', work)

/** Runs `work` with mutations allowed. */
export const writable = <T>(work: () => T): T => mode.run('write', work)

/** Throws unless mutations are allowed here. `what` names the mutation: "write /etc/hosts". */
export function assertMayMutate(what: string): void {
  if (mode.getStore() !== 'write') throw new Error(`a read-only operation tried to ${what}`)
}
