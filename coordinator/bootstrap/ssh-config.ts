/** CONTEXT_DIR/ssh_config: how `ssh -F` reaches the stage's hosts, in the form other tools around such sites expect. */
import { join } from 'node:path'
import type { SshTarget } from '../providers/provider.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'
import { keyExchangeNearby, knownHostsOf } from './ssh.ts'

/** One block a host, in the order given. */
export function renderSshConfig(targets: readonly SshTarget[], knownHosts: string): string {
  return targets
    .map(
      ({ host, address, port, user, identityFile, sameMachine }) => `Host ${host}
  HostName ${address}
  User ${user}
  Port ${port}
  IdentityFile "${identityFile}"
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "${knownHosts}"
  LogLevel FATAL
${sameMachine === true ? `  KexAlgorithms ${keyExchangeNearby}\n` : ''}`,
    )
    .join('\n')
}

export const writeSshConfig = (contextDir: string, targets: readonly SshTarget[]): void =>
  writeFileAtomic(join(contextDir, 'ssh_config'), renderSshConfig(targets, knownHostsOf(contextDir)))

/** Where ssh_config says that a host is; undefined where it says nothing. */
export function recordedAddress(contextDir: string, host: string): { readonly address: string; readonly port: number | undefined } | undefined {
  const blocks = (readTextIfPresent(join(contextDir, 'ssh_config')) ?? '').split(/^(?=Host\s)/m)
  const block = blocks.find((text) => /^Host\s+(\S+)/.exec(text)?.[1] === host)
  const value = (key: string): string | undefined => new RegExp(`^\\s*${key}\\s+"?([^"\\s]+)`, 'im').exec(block ?? '')?.[1]
  const address = value('HostName')
  return address === undefined ? undefined : { address, port: value('Port') === undefined ? undefined : Number(value('Port')) }
}
