/** CONTEXT_DIR/ssh_config: how `ssh -F` reaches the stage's hosts, in the form other tools around such sites expect. */
import { join } from 'node:path'
import type { SshTarget } from '../providers/provider.ts'
import { writeFileAtomic } from '../run/atomic-file.ts'
import { knownHostsOf } from './ssh.ts'

/** One block a host, in the order given. */
export function renderSshConfig(targets: readonly SshTarget[], knownHosts: string): string {
  return targets
    .map(
      ({ host, address, port, user, identityFile }) => `Host ${host}
  HostName ${address}
  User ${user}
  Port ${port}
  IdentityFile "${identityFile}"
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "${knownHosts}"
  LogLevel FATAL
`,
    )
    .join('\n')
}

export const writeSshConfig = (contextDir: string, targets: readonly SshTarget[]): void =>
  writeFileAtomic(join(contextDir, 'ssh_config'), renderSshConfig(targets, knownHostsOf(contextDir)))
