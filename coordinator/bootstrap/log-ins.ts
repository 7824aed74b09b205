/** The log-ins that a host may have by now: setup-hosts closes root's and may move the port. */
import type { SshTarget } from '../providers/provider.ts'

/** The provider's first, then the other port and user, one port after the other. */
export function logIns(target: SshTarget, other: { readonly user: string; readonly port: number }): readonly SshTarget[] {
  const users = [...new Set([target.user, other.user])]
  const ports = [...new Set([target.port, other.port])]
  return ports.flatMap((port) => users.map((user): SshTarget => ({ ...target, user, port })))
}
