/** What this machine must have to hold hosts: Linux, root, and a few tools, installed where that can be done. */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../../proto/errors.ts'
import type { Emit } from '../../events.ts'
import { run } from '../command.ts'

/** Tool → Debian package. */
const tools: Readonly<Record<string, string>> = {
  'systemd-nspawn': 'systemd-container',
  debootstrap: 'debootstrap',
  iptables: 'iptables',
  ip: 'iproute2',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  nsenter: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
}

const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin', '/usr/local/sbin']

const executable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const missingPackages = (): readonly string[] => {
  const missing = Object.entries(tools).filter(([tool]) => !folders.some((folder) => executable(join(folder, tool))))
  return [...new Set(missing.map(([, name]) => name))]
}

/** Throws HiveError 'unsupported' where this machine can never hold hosts. Reads only. */
export function assertMachineCan(): void {
  const elsewhere = 'use provider prepared with hosts that exist, or run it on a Linux machine (a virtual machine or a container with all capabilities will do)'
  if (process.platform !== 'linux') throw new HiveError('unsupported', `hosts of provider nspawn need Linux, this is ${process.platform}`, { hint: elsewhere })
  if (process.getuid?.() !== 0)
    throw new HiveError('unsupported', 'making hosts with provider nspawn needs root', { hint: `run it as root (sudo); else ${elsewhere}` })
}

/** Installs what is missing with apt-get; names it where there is no apt-get. */
export async function ensureTools(emit: Emit, signal: AbortSignal): Promise<void> {
  assertMachineCan()
  const missing = missingPackages()
  if (missing.length === 0) return
  if (!existsSync('/usr/bin/apt-get'))
    throw new HiveError('unsupported', `tools are missing: ${missing.join(', ')}`, { hint: "install them with this machine's package manager, then run again" })
  emit({ code: 'notice', message: `installing on this machine: ${missing.join(' ')}` })
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing] as [string, ...string[]]
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  try {
    await run(install, { timeout: 600_000, signal, env })
  } catch {
    // Most often the package lists are absent or older than the archive.
    await run(['apt-get', 'update'], { timeout: 300_000, signal, env })
    await run(install, { timeout: 600_000, signal, env })
  }
}
