/** The root that stands for an image of EC2: the base root of the hosts with cloud-init on top, as a layer of its own in the cache. */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { run } from '../../../coordinator/providers/command.ts'
import { cacheFolder, ensureBaseRoot } from '../../../coordinator/providers/nspawn/base-root.ts'
import { withLock } from '../../../coordinator/providers/nspawn/lock.ts'

/**
 * As an EL image has it: logins for ec2-user with the instance's key alone. The network is the namespace's; modules that
 * need devices or a package archive, or take seconds for nothing a site sees (locale), are left out, since the hosts have neither.
 */
const configuration = {
  users: ['default'],
  disable_root: true,
  ssh_pwauth: false,
  // RSA takes seconds.
  ssh_genkeytypes: ['ed25519', 'ecdsa'],
  preserve_hostname: false,
  datasource_list: ['NoCloud'],
  network: { config: 'disabled' },
  cloud_init_modules: ['bootcmd', 'write-files', 'set_hostname', 'update_hostname', 'update_etc_hosts', 'ca-certs', 'rsyslog', 'users-groups', 'ssh'],
  cloud_config_modules: ['set-passwords', 'timezone', 'runcmd'],
  cloud_final_modules: ['scripts-per-once', 'scripts-per-boot', 'scripts-per-instance', 'scripts-user', 'ssh-authkey-fingerprints', 'final-message'],
  system_info: {
    distro: 'debian',
    default_user: { name: 'ec2-user', lock_passwd: true, gecos: 'EC2 Default User', sudo: ['ALL=(ALL) NOPASSWD:ALL'], shell: '/bin/bash' },
    paths: { cloud_dir: '/var/lib/cloud', templates_dir: '/etc/cloud/templates' },
    ssh_svcname: 'ssh',
  },
}

const files: Readonly<Record<string, string>> = {
  // JSON is YAML.
  'etc/cloud/cloud.cfg': `${JSON.stringify(configuration, null, 2)}\n`,
  'etc/cloud/ds-identify.cfg': 'policy: enabled\n',
}

/**
 * Folders of an overlay, topmost first, as `lowerdir=` takes them. Made first where they are not there: the base root in
 * minutes, the layer in some ten seconds; a second process waits for the first.
 */
export async function ensureCloudRoot(say: (message: string) => void, signal: AbortSignal): Promise<string> {
  const base = await ensureBaseRoot((event) => say('message' in event ? event.message : event.code), signal)
  const recipe = createHash('sha256')
    .update(JSON.stringify([basename(base), files]))
    .digest('hex')
    .slice(0, 12)
  const layer = join(cacheFolder(), `cloud-${recipe}`)
  if (!existsSync(layer))
    await withLock(
      join(cacheFolder(), 'cloud.lock'),
      signal,
      () => say('another process builds the root of instances; waiting for it'),
      async () => {
        if (!existsSync(layer)) await build(base, layer, signal)
      },
    )
  return `${layer}:${base}`
}

async function build(base: string, layer: string, signal: AbortSignal): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  for (const name of readdirSync(cacheFolder())) if (name.startsWith('cloud-building-')) await discard(join(cacheFolder(), name))
  const work = mkdtempSync(join(cacheFolder(), 'cloud-building-'))
  const [upper, root] = [join(work, 'upper'), join(work, 'root')]
  try {
    for (const folder of [upper, root, join(work, 'work')]) mkdirSync(folder, { mode: 0o755 })
    await run(['mount', '-t', 'overlay', 'hive-cloud-root', '-o', `lowerdir=${base},upperdir=${upper},workdir=${join(work, 'work')}`, root])
    writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    for (const name of ['etc/resolv.conf', 'etc/hosts']) copyFileSync(`/${name}`, join(root, name))
    const { stdout } = await run(['apt-config', 'dump', 'Acquire'])
    const options = [...stdout.matchAll(/^(Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date)) "([^"]+)";$/gm)].flatMap(([, key, value]) => [
      '-o',
      `${key}=${value}`,
    ])
    const inside = (...argv: readonly string[]): Promise<unknown> =>
      run(['chroot', root, ...argv], { timeout: 600_000, signal, env: { DEBIAN_FRONTEND: 'noninteractive', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
    await inside('apt-get', ...options, 'update')
    await inside('apt-get', ...options, 'install', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', 'cloud-init')
    await inside('apt-get', 'clean')
    for (const name of readdirSync(join(root, 'etc/cloud/cloud.cfg.d'))) rmSync(join(root, 'etc/cloud/cloud.cfg.d', name))
    for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content)
    rmSync(join(root, 'usr/sbin/policy-rc.d'))
    writeFileSync(join(root, 'etc/resolv.conf'), '')
    writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n')
    await run(['umount', root])
    renameSync(upper, layer)
  } finally {
    await discard(work)
  }
}

async function discard(work: string): Promise<void> {
  await run(['umount', '--lazy', join(work, 'root')], { okCodes: [0, 1, 32] })
  await run(['rm', '-rf', '--one-file-system', work])
}
