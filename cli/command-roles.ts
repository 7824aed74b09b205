/**
 * The least role that a command needs, told before it begins: agents refuse each call by itself (proto/roles.ts), and a command that is refused half
 * way would have done the first half. `local`: it asks no agent, or all depends on what it is asked for.
 */
import { join } from 'node:path'
import { localIdentity, roleIn } from '../coordinator/pki/stage-pki.ts'
import { readTextIfPresent } from '../coordinator/run/atomic-file.ts'
import { HiveError } from '../proto/errors.ts'
import { type Role, roles } from '../proto/roles.ts'

export type CommandRole = Role | 'local'

/** By the command's words; what stands for `node` counts for all below it that are not named themselves. */
export const commandRoles: Readonly<Record<string, CommandRole>> = {
  deploy: 'hive:operator',
  'build-infra': 'hive:operator',
  'setup-hosts': 'hive:operator',
  'build-images': 'hive:operator',
  'build-networks': 'hive:operator',
  'build-volumes': 'hive:operator',
  'deploy-services': 'hive:operator',
  'initialize-services': 'hive:operator',
  // A plan's answer tells how a guess at a secret differs from what is there.
  plan: 'hive:operator',
  status: 'hive:reader',
  // Its repairs are refused by the agents, each with the role that it needs.
  doctor: 'hive:reader',
  // As plan.
  drift: 'hive:operator',
  'support-bundle': 'hive:operator',
  // --operate asks for an operator's.
  dashboard: 'hive:reader',
  runs: 'local',
  'runs watch': 'hive:reader',
  'runs cancel': 'hive:operator',
  inventory: 'local',
  set: 'local',
  get: 'local',
  exec: 'hive:operator',
  shell: 'hive:operator',
  cp: 'hive:operator',
  ps: 'hive:reader',
  restart: 'hive:operator',
  scale: 'hive:operator',
  rollback: 'hive:operator',
  logs: 'hive:reader',
  ssh: 'local',
  node: 'hive:reader',
  'node unit': 'hive:operator',
  'node restart-service': 'hive:operator',
  'node availability': 'hive:operator',
  // It tells a reader; what it does is refused by the agents.
  swarm: 'hive:reader',
  'host add': 'hive:operator',
  'host replace': 'hive:admin',
  volume: 'hive:admin',
  zabbix: 'hive:operator',
  'zabbix-port': 'hive:operator',
  drbd: 'hive:operator',
  'drbd list': 'hive:reader',
  'drbd status': 'hive:reader',
  'drbd watch': 'hive:reader',
  'drbd invalidate': 'hive:admin',
  'drbd forget-peer': 'hive:admin',
  backup: 'hive:operator',
  'backup list': 'hive:reader',
  'backup verify': 'hive:reader',
  'backup restore': 'hive:admin',
  call: 'local',
  host: 'hive:operator',
  'host list': 'hive:reader',
  'host show': 'hive:reader',
  'host hold list': 'hive:reader',
  rebalance: 'hive:operator',
  drill: 'hive:operator',
  hold: 'hive:operator',
  'hold list': 'hive:reader',
  images: 'hive:operator',
  'images list': 'hive:reader',
  agent: 'hive:operator',
  'agent list': 'hive:reader',
  'agent package': 'local',
  cert: 'hive:admin',
  'cert list': 'hive:reader',
  audit: 'hive:reader',
  context: 'local',
  halt: 'hive:operator',
  start: 'hive:operator',
  destroy: 'hive:admin',
  lab: 'local',
  completion: 'local',
  complete: 'local',
}

/** The rule of the longest part of the command's words that has one; undefined where none has. */
export function roleOfCommand(words: readonly string[]): CommandRole | undefined {
  for (let length = words.length; length > 0; length--) {
    const found = commandRoles[words.slice(0, length).join(' ')]
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Throws HiveError 'denied' where the certificate that this admin box has for the stage is of a lower role. One that is still to be made is an
 * administrator's.
 */
export function refuseCommand(words: readonly string[], contextDir: string, identity = localIdentity()): void {
  const needed = roleOfCommand(words)
  if (needed === undefined || needed === 'local') return
  const certificate = readTextIfPresent(join(contextDir, 'pki', identity, 'cert.pem'))
  if (certificate === undefined) return
  const role = roleIn(certificate)
  if (role !== undefined && roles.indexOf(role) >= roles.indexOf(needed)) return
  throw new HiveError('denied', `${words.join(' ')} needs the role ${needed}; your certificate (${identity}) has ${role ?? 'none'}`, {
    hint: 'an administrator issues one: `hivecoord cert issue`',
  })
}
