/** Who may log in, and how. */
import type { Step } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import type { Host } from '../../inventory/site.ts'
import { lines } from './base-system.ts'
import type { SetupHostsFacts } from './facts.ts'
import { hostStep } from './host-step.ts'

const shell = '/bin/bash'

/** The administrator, and the site's own users, whose groups may use sudo. */
export function users(host: Host, facts: SetupHostsFacts): Step {
  const { settings } = host
  const administrator = {
    name: settings.admin,
    uid: settings.adminUid,
    group: settings.adminGroup,
    gid: settings.adminGid,
    home: `/home/${settings.admin}`,
    shell,
    authorizedKeys: [...facts.publicKeys],
    sudo: true,
    groups: ['docker'],
  }
  const others = settings.users.map((user) => ({
    name: user.name,
    uid: user.uid,
    group: user.group ?? '',
    gid: undefined,
    home: `/home/${user.name}`,
    shell,
    authorizedKeys: user.publicKey === undefined || user.publicKey.trim() === '' ? [] : [user.publicKey.trim()],
    sudo: false,
    groups: [],
  }))
  const groups = settings.userGroups.map((group) => ({ name: group.name, gid: group.gid, sudo: true, system: false }))
  const value = { users: [...(settings.admin === 'root' ? [] : [administrator]), ...others], groups }
  return hostStep(host, 'users', `users ${value.users.map((user) => user.name).join(', ')}`, 'ensureUsers', value, { after: ['packages'] })
}

/**
 * No passwords over ssh. In front of the file, since sshd takes the first value it finds, and by what it includes later a
 * cloud image may ask for the opposite. After the users: by then somebody can log in with a key.
 */
export const sshd = (host: Host): readonly Step[] => [
  hostStep(
    host,
    'sshd-config',
    'sshd takes keys only',
    'ensureBlock',
    {
      path: '/etc/ssh/sshd_config',
      marker: 'sshd',
      content: lines([
        ...(host.settings.sshdPort === 22 ? [] : [`Port ${host.settings.sshdPort}`]),
        'PasswordAuthentication no',
        // The name that OpenSSH before 8.7 knows, and later ones still take, for KbdInteractiveAuthentication.
        'ChallengeResponseAuthentication no',
        'UseDNS no',
        ...(host.settings.users.length === 0 ? [] : ['PermitRootLogin no']),
      ]),
      atTop: true,
      commentOut: [],
      validate: ['/usr/sbin/sshd', '-t', '-f', '%s'],
      system: '',
    },
    { after: ['users'] },
  ),
  hostStep(
    host,
    'sshd',
    'sshd runs with its configuration',
    'ensureUnit',
    {
      name: 'sshd.service',
      aliases: ['ssh.service'],
      enabled: undefined,
      state: UnitState.UNSPECIFIED,
      watchFiles: ['/etc/ssh/sshd_config'],
      reload: true,
      optional: true,
    },
    { after: ['sshd-config'] },
  ),
]
