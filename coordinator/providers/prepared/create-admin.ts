/** The shell script that gives a host its admin user: group, user, sudo without a password, the stage's key. Pure. */
import { quoted } from '../../bootstrap/ssh.ts'

export interface Admin {
  readonly admin: string
  readonly group: string
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly publicKey: string
}

/** Idempotent; existing users and keys are kept. For /bin/sh as root on apt and dnf hosts. */
export function createAdminScript({ admin, group, uid, gid, publicKey }: Admin): string {
  const user = quoted(admin)
  const sudoers = `/etc/sudoers.d/${admin.replaceAll('.', '_')}`
  return [
    'set -e',
    `getent group ${quoted(group)} >/dev/null || groupadd ${gid === undefined ? '' : `-g ${gid} `}${quoted(group)}`,
    `id -u ${user} >/dev/null 2>&1 || useradd -m -s /bin/bash -g ${quoted(group)} ${uid === undefined ? '' : `-u ${uid} `}${user}`,
    'umask 077',
    'mkdir -p /etc/sudoers.d',
    // Checked before it counts: a broken file would lock sudo for everybody.
    `printf '%s\\n' ${quoted(`%${group} ALL=(ALL) NOPASSWD: ALL`)} > /etc/.hive-sudoers`,
    'if command -v visudo >/dev/null; then visudo -cqf /etc/.hive-sudoers; fi',
    `chmod 440 /etc/.hive-sudoers && mv -f /etc/.hive-sudoers ${quoted(sudoers)}`,
    `home=$(getent passwd ${user} | cut -d: -f6)`,
    'mkdir -p "$home/.ssh"',
    `grep -qxF ${quoted(publicKey)} "$home/.ssh/authorized_keys" 2>/dev/null || printf '%s\\n' ${quoted(publicKey)} >> "$home/.ssh/authorized_keys"`,
    'chmod 700 "$home/.ssh" && chmod 600 "$home/.ssh/authorized_keys"',
    `chown -R ${user}: "$home/.ssh"`,
    'if command -v restorecon >/dev/null; then restorecon -R "$home/.ssh" || true; fi',
  ].join('\n')
}
