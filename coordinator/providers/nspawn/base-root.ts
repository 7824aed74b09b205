/** The file system all nspawn hosts start from: Debian, made once by debootstrap and kept in a cache named by its recipe. */
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Emit } from '../../events.ts'
import { run } from '../command.ts'
import { withLock } from './lock.ts'

const suite = 'bookworm'
export const defaultMirror = 'http://deb.debian.org/debian'

/** Without these apt can't go on by itself. */
const bootPackages = ['systemd', 'systemd-sysv', 'dbus', 'ca-certificates', 'udev', 'kmod', 'procps', 'locales', 'tzdata']

/** Installed by apt inside, because debootstrap does not resolve virtual packages (python3-cffi-backend-api …). */
const hostPackages = [
  'openssh-server',
  'docker.io',
  'docker-registry',
  'iptables',
  'iproute2',
  'iputils-ping',
  'python3',
  'python3-docker',
  'ansible',
  'rsyslog',
  'rsyslog-gnutls',
  'rsyslog-relp',
  'logrotate',
  'chrony',
  'restic',
  'lvm2',
  'curl',
  'sudo',
]

/**
 * They would change the one kernel that all hosts share (sysctl, modules, devices), wake up at random times, or wait
 * for a console that is not there.
 */
const maskedUnits = [
  'systemd-udev-trigger.service',
  'systemd-udevd.service',
  'systemd-udevd-control.socket',
  'systemd-udevd-kernel.socket',
  'systemd-modules-load.service',
  'systemd-binfmt.service',
  'systemd-timesyncd.service',
  'proc-sys-fs-binfmt_misc.automount',
  'console-getty.service',
  'getty.target',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'logrotate.timer',
  'lvm2-monitor.service',
  'lvm2-lvmpolld.socket',
  'dm-event.socket',
  'blk-availability.service',
]

/** cgroup v1 comes read-only into an nspawn machine; dockerd must make groups in every hierarchy. */
const dockerDropIn = `[Service]
ExecStartPre=/bin/sh -c 'if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do if mountpoint -q "$folder"; then mount -o remount,bind,rw "$folder"; fi; done; fi'
`

const files: Readonly<Record<string, string>> = {
  'etc/systemd/system/docker.service.d/50-writable-cgroups.conf': dockerDropIn,
  // The clock and the log of the kernel belong to the machine that holds the hosts.
  'etc/default/chrony': 'DAEMON_OPTS="-F 1 -x"\n',
  'etc/apt/apt.conf.d/90-no-extras': 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n',
  'etc/locale.gen': 'en_US.UTF-8 UTF-8\nja_JP.UTF-8 UTF-8\n',
  'etc/machine-id': '',
  'etc/fstab': '',
  'etc/securetty': '',
}

const finish = `set -e
sed -i 's/^\\(module(load="imklog")\\)/#\\1/' /etc/rsyslog.conf
locale-gen
rm -f /usr/lib/sysctl.d/*.conf /etc/ssh/ssh_host_*
rm -f /var/lib/dbus/machine-id
systemctl mask ${maskedUnits.join(' ')}
systemctl disable docker-registry.service
apt-get clean
rm -rf /var/lib/docker/* /var/log/*.log /var/log/apt /usr/sbin/policy-rc.d
`

const recipe = (): string => JSON.stringify({ suite, bootPackages, hostPackages, files, finish })

/** HIVE_CACHE, else /var/cache/hive; a folder of it for base roots. */
export const cacheFolder = (): string => join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'nspawn')

/** Where the base root of this recipe is, or will be. */
export const baseRootPath = (): string => join(cacheFolder(), `base-${createHash('sha256').update(recipe()).digest('hex').slice(0, 12)}`)

/** This machine's proxies and checks of apt, for the apt inside. */
async function outerAptOptions(): Promise<readonly string[]> {
  if (!existsSync('/usr/bin/apt-config')) return []
  const { stdout } = await run(['apt-config', 'dump', 'Acquire'])
  return [...stdout.matchAll(/^(Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date)) "([^"]+)";$/gm)].flatMap(([, key, value]) => ['-o', `${key}=${value}`])
}

/**
 * The path of the base root, built first where it is not there: about three minutes and 1 GB. Built beside its place and
 * renamed when complete; a second process waits for the first. HIVE_DEBIAN_MIRROR names another archive than Debian's own.
 */
export async function ensureBaseRoot(emit: Emit, signal: AbortSignal): Promise<string> {
  const path = baseRootPath()
  if (existsSync(path)) return path
  const waiting = (): void => emit({ code: 'notice', message: 'another process builds the base root of the hosts; waiting for it' })
  return withLock(join(cacheFolder(), 'lock'), signal, waiting, async () => {
    if (!existsSync(path)) await build(path, emit, signal)
    return path
  })
}

async function build(path: string, emit: Emit, signal: AbortSignal): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  for (const name of readdirSync(cacheFolder())) if (name.startsWith('building-')) rmSync(join(cacheFolder(), name), { recursive: true, force: true })
  const root = mkdtempSync(join(cacheFolder(), 'building-'))
  chmodSync(root, 0o755)
  const mirror = process.env['HIVE_DEBIAN_MIRROR'] ?? defaultMirror
  const started = performance.now()
  const say = (what: string): void =>
    emit({ code: 'notice', message: `base root of the hosts: ${what} (${Math.round((performance.now() - started) / 1000)} s)` })
  try {
    say(`Debian ${suite} from ${mirror}, once, some minutes`)
    await run(['debootstrap', '--variant=minbase', `--include=${bootPackages.join(',')}`, suite, root, mirror], { timeout: 900_000, signal })
    say(`installing ${hostPackages.join(' ')}`)
    writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    for (const name of ['etc/resolv.conf', 'etc/hosts']) if (existsSync(`/${name}`)) copyFileSync(`/${name}`, join(root, name))
    const inside = (argv: readonly string[], timeout: number): Promise<unknown> =>
      run(['chroot', root, ...argv], { timeout, signal, env: { DEBIAN_FRONTEND: 'noninteractive', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
    const options = await outerAptOptions()
    await inside(['apt-get', ...options, 'update'], 300_000)
    await inside(['apt-get', ...options, 'install', '-y', '--no-install-recommends', ...hostPackages], 900_000)
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(root, name, '..'), { recursive: true })
      writeFileSync(join(root, name), content)
    }
    say('last touches')
    await inside(['sh', '-c', finish], 300_000)
    writeFileSync(join(root, 'etc/resolv.conf'), '')
    writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n')
    if (readFileSync(join(root, 'etc/rsyslog.conf'), 'utf8').includes('\nmodule(load="imklog")')) throw new Error('rsyslog still reads the log of the kernel')
    renameSync(root, path)
    say('ready')
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
