/** Whole Debian hosts on one switch, each with a kernel of its own: systemd, sshd and dockerd, as a prepared server has them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { type HostImage, hostImage } from './host-image.ts'
import { type HostNetwork, makeHostNetwork } from './host-network.ts'
import { processors } from './processors.ts'

export interface VmHost {
  readonly name: string
  /** With its prefix length. */
  readonly address: string
}

export interface VmHosts {
  /** Of the switch; the hosts' addresses exist only in it. */
  readonly namespace: string
  /** At once, as by a power cut. */
  powerOff(name: string): Promise<void>
  console(name: string): string
  /** Leaves nothing: machines, network, disks. */
  remove(): Promise<void>
}

export interface VmSettings {
  /** MiB of each. */
  readonly memory: number
  /** An address of the switch, with its prefix length. */
  readonly gateway: string
  /** One line of authorized_keys; root's. */
  readonly publicKey: string
  readonly signal: AbortSignal
}

/**
 * Starts a kernel as a process of a namespace that ends with it: each program in it is a process of this machine, and would outlive it. Its memory
 * is a file, in a tmpfs that only it sees: on a disk all changes of it would be written back.
 */
const isolated = 'mount -t tmpfs -o size=100% memory "$TMPDIR"; "$@"; exit'

/** Starts them all; sshd answers some time later. */
export async function startHosts(hosts: readonly VmHost[], { memory, gateway, publicKey, signal }: VmSettings): Promise<VmHosts> {
  const image = await hostImage(signal)
  const work = mkdtempSync(join(tmpdir(), 'hive-vm-'))
  const running = new Map<string, ChildProcess>()
  const placeOf = (name: string, what: string): string => join(work, name, what)
  let network: HostNetwork | undefined
  // Also where the test is told to end.
  const removeFiles = (): void => rmSync(work, { recursive: true, force: true })
  process.once('exit', removeFiles)
  const remove = async (): Promise<void> => {
    await Promise.all([...running.values()].map(kill))
    network?.remove()
    removeFiles()
    process.off('exit', removeFiles)
  }
  try {
    network = await makeHostNetwork(gateway, hosts.length)
    const { namespace, tapOf } = network
    const available = processors()
    for (const [index, host] of hosts.entries()) {
      const place = join(work, host.name)
      for (const folder of ['own', 'memory', 'run']) mkdirSync(join(place, folder), { recursive: true })
      await writeOwnFiles(host, network.gateway, publicKey, join(place, 'own'))
      const processor = available[index % available.length] ?? 0
      running.set(host.name, start({ namespace, processor, place }, kernelArguments(image, { ...host, place, memory, tap: tapOf(index), index })))
    }
    return {
      namespace,
      powerOff: async (name) => {
        const child = running.get(name)
        if (child === undefined) throw new Error(`there is no host ${name}`)
        await kill(child)
      },
      console: (name) => read(placeOf(name, 'console')),
      remove,
    }
  } catch (error) {
    await remove()
    throw error
  }
}

interface Machine {
  readonly name: string
  readonly place: string
  readonly memory: number
  readonly tap: string
  readonly index: number
}

/** Those of the kernel: https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html */
function kernelArguments({ kernel, disk, init }: HostImage, { name, place, memory, tap, index }: Machine): readonly string[] {
  // SELinux is in it, and its tools are not in these hosts.
  const noGuard = 'lsm=yama'
  const mac = `52:54:00:00:00:${(index + 1).toString(16).padStart(2, '0')}`
  return [
    ...[kernel, `mem=${memory}M`, `umid=${name}`, `uml_dir=${join(place, 'run')}`, 'con=null', 'con0=null,fd:1', 'quiet', 'panic=-1', 'noreboot', noGuard],
    // What a host writes goes to a file of its own. It is not kept, so nothing has to wait until it is safe.
    ...[`ubd0=${join(place, 'disk')},${disk}`, 'root=/dev/ubda', 'rw', 'rootflags=barrier=0', `init=${init}`, `hostfs=${join(place, 'own')}`],
    // The switch hands over what it was given, also TCP in pieces larger than a frame: without gro they would be dropped.
    `vec0:transport=tap,ifname=${tap},gro=1,mac=${mac}`,
  ]
}

interface Place {
  readonly namespace: string
  /** A kernel and its programs take turns and never run at once. To be woken by another processor costs more than most turns take. */
  readonly processor: number
  /** A folder of its own. */
  readonly place: string
}

function start({ namespace, processor, place }: Place, argv: readonly string[]): ChildProcess {
  const console = openSync(join(place, 'console'), 'w')
  const around = [
    ...['setpriv', '--pdeathsig', 'KILL', 'taskset', '--cpu-list', String(processor)],
    ...['unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', 'sh', '-ec', isolated, 'sh'],
  ]
  const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...around, ...argv], {
    stdio: ['ignore', console, console],
    // A session of its own: a busy kernel shares processors out among sessions.
    detached: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TMPDIR: join(place, 'memory') },
  })
  closeSync(console)
  child.on('error', () => undefined)
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await ended
}

/** What makes the disk this host, below `folder`, which becomes its root. */
async function writeOwnFiles({ name, address }: VmHost, gateway: string, publicKey: string, folder: string): Promise<void> {
  const write = (path: string, content: string, mode = 0o644): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o755 })
    writeFileSync(join(folder, path), content, { mode })
  }
  write('etc/vm-network', `address=${address}\ngateway=${gateway}\n`)
  write('etc/machine-id', `${randomBytes(16).toString('hex')}\n`, 0o444)
  write('etc/hostname', `${name}\n`)
  // No name server answers there: docker would take a public one where none is named.
  write('etc/resolv.conf', `nameserver ${gateway}\noptions timeout:1 attempts:1\n`)
  write('etc/systemd/journald.conf.d/vm.conf', '[Journal]\nStorage=volatile\n')
  write('root/.ssh/authorized_keys', `${publicKey}\n`, 0o600)
  mkdirSync(join(folder, 'etc/ssh'))
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, 'etc/ssh/ssh_host_ed25519_key')])
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
