/** A host's file system: its own layer over the base root, with the few files that make it this host. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../command.ts'
import { runcPath, runcScript } from './runc-capabilities.ts'
import type { HostFolder } from './stage-folder.ts'

/** Mount points at or below a folder, deepest first. */
export function mountsBelow(mountinfo: string, folder: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)
}

const currentMounts = (folder: string): readonly string[] => mountsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), folder)

/** Mounts the host's root where it is not mounted yet. */
export async function mountRoot(host: HostFolder, baseRoot: string): Promise<void> {
  for (const folder of [host.upper, host.work, host.root, host.docker]) mkdirSync(folder, { recursive: true, mode: 0o755 })
  if (currentMounts(host.root).includes(host.root)) return
  await run(['mount', '-t', 'overlay', 'hive-nspawn', '-o', `lowerdir=${baseRoot},upperdir=${host.upper},workdir=${host.work}`, host.root])
}

/** Unmounts everything at or below a folder; tries again lazily where something still holds it. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const path of currentMounts(folder)) {
    const { code } = await run(['umount', path], { okCodes: [0, 1, 32] })
    if (code !== 0) await run(['umount', '--lazy', path], { okCodes: [0, 1, 32] })
  }
}

export interface Identity {
  readonly name: string
  readonly shortName: string
  readonly address: string
  /** An address in the lab where no name server answers: the query fails at once and docker sees a server named. */
  readonly nameServer: string
  /** Public key lines that may log in as root. */
  readonly authorizedKeys: string
}

/** Writes what makes the mounted root this host. Keys and machine id are made once; running it again completes it. */
export async function personalize(root: string, identity: Identity): Promise<void> {
  const write = (path: string, content: string, mode = 0o644): void => writeFileSync(join(root, path), content, { mode })
  if (readFileSync(join(root, 'etc/machine-id'), 'utf8').trim() === '') write('etc/machine-id', `${randomBytes(16).toString('hex')}\n`, 0o444)
  write('etc/hostname', `${identity.shortName}\n`)
  const own = `${identity.address} ${identity.name} ${identity.shortName}\n`
  // Once: later the file has lines of others too.
  if (!readFileSync(join(root, 'etc/hosts'), 'utf8').includes(own)) write('etc/hosts', `127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n${own}`)
  write(runcPath, runcScript, 0o755)
  write('etc/resolv.conf', `nameserver ${identity.nameServer}\noptions timeout:1 attempts:1\n`)
  mkdirSync(join(root, 'root/.ssh'), { recursive: true, mode: 0o700 })
  write('root/.ssh/authorized_keys', identity.authorizedKeys, 0o600)
  for (const type of ['ed25519', 'ecdsa']) {
    const key = join(root, `etc/ssh/ssh_host_${type}_key`)
    if (existsSync(key) && existsSync(`${key}.pub`)) continue
    await run(['rm', '-f', key, `${key}.pub`])
    await run(['ssh-keygen', '-q', '-t', type, '-N', '', '-C', identity.name, '-f', key])
  }
}
