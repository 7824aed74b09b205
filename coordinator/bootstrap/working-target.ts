/** The log-in that works on a host. */
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError } from '../../proto/errors.ts'
import type { Host } from '../inventory/site.ts'
import type { SshTarget } from '../providers/provider.ts'
import { onHost } from './ssh.ts'

/**
 * The log-in that works: the provider's, else the admin user's (setup-hosts may have closed root's), on the first port
 * or on the one setup-hosts sets. For `patience` milliseconds a host that does not answer at all is tried again.
 */
export async function workingTarget(
  host: Host,
  target: SshTarget,
  contextDir: string,
  signal: AbortSignal,
  patience: number,
  tries: (candidate: SshTarget) => Promise<unknown> = (candidate) => onHost(candidate, 'true', { contextDir, signal }),
): Promise<SshTarget> {
  const users = [...new Set([target.user, host.settings.admin])]
  const ports = [...new Set([target.port, host.settings.sshdPort])]
  const end = performance.now() + patience
  for (;;) {
    const failures: unknown[] = []
    for (const port of ports) {
      for (const user of users) {
        const candidate: SshTarget = { ...target, user, port }
        try {
          await tries(candidate)
          return candidate
        } catch (error) {
          signal.throwIfAborted()
          failures.push(error)
          // Where no sshd answers, another user has no better luck.
          if (unanswered(error)) break
        }
      }
    }
    // A host that refused somebody is up, and says more than the port where nobody listens.
    const refusal = failures.find((error) => !unanswered(error))
    if (refusal !== undefined || performance.now() >= end) throw refusal ?? failures[0]
    await wait(300, undefined, { signal })
  }
}

const unanswered = (error: unknown): boolean => error instanceof HiveError && error.code === 'unreachable'
