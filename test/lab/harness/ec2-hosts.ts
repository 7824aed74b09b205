/**
 * Instances of the EC2 emulator stood for by hosts of this machine: what the front says was run comes up as a real systemd
 * host with cloud-init, at the instance's private address, in a namespace of the VPC's own; elastic addresses listen on
 * loopback and lead to it.
 *
 *   const hosts = await standForInstances(ec2.front, { name: 'staging', cidr: '192.168.0.0/24' })
 *   … RunInstances, AssociateAddress … ssh ec2-user@127.x.y.z
 *   await hosts.idle()                  // all that the front told of is done; throws what failed
 *   hosts.namespace                     // nsenter --net=/run/netns/NAMESPACE: as from within the VPC
 *   hosts.hostOf(instanceId)            // its folder, console, namespace
 *   await hosts.stop()                  // takes everything away
 *
 * Unlike EC2: user data and key come by cloud-init's NoCloud seed folder, because there is no metadata service at
 * 169.254.169.254; all subnets are one switch, so what the VPC's router would do needs none; disks are the host's own
 * folders; security groups let everything pass.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../../coordinator/providers/command.ts'
import { mountRoot, personalize } from '../../../coordinator/providers/nspawn/host-root.ts'
import { putDown, remove } from '../../../coordinator/providers/nspawn/hosts.ts'
import { raiseKernelLimits } from '../../../coordinator/providers/nspawn/kernel-limits.ts'
import { startMachine } from '../../../coordinator/providers/nspawn/machine.ts'
import { connectHost, disconnectHost, ensureSwitch, gatewayOf, type NetworkHost } from '../../../coordinator/providers/nspawn/network.ts'
import {
  type HostFolder,
  type HostRecord,
  hostFolder,
  readHostRecord,
  type StageFolder,
  type StageIdentity,
  stageFolder,
  writeHostRecord,
} from '../../../coordinator/providers/nspawn/stage-folder.ts'
import { ensureTools } from '../../../coordinator/providers/nspawn/tools.ts'
import type { Front, InstanceEvent } from '../../ec2/front.ts'
import { ensureCloudRoot } from './cloud-root.ts'
import { Ec2Relay } from './ec2-relay.ts'

const checkout = new URL('../../..', import.meta.url).pathname
const guardProgram = new URL('ec2-hosts-guard.ts', import.meta.url).pathname
/** Bytes of console that GetConsoleOutput gives, as EC2's 64 KiB. */
const consoleLimit = 65_536

export interface Ec2HostsOptions {
  /** Tells apart what stands at the same time; letters and digits. */
  readonly name: string
  /** Of the VPC. */
  readonly cidr: string
  /** Ports of elastic addresses that lead to the instance. Default [22]. */
  readonly ports?: readonly number[]
  readonly signal?: AbortSignal
}

export interface Ec2Hosts {
  readonly namespace: string
  readonly hostOf: (instanceId: string) => HostFolder
  /** Waits until all that was told is done. Throws an AggregateError of what failed since the last time. */
  readonly idle: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Root only; makes the base root and the tools it needs where they are not there. */
export async function standForInstances(front: Front, { name, cidr, ports = [22], signal = new AbortController().signal }: Ec2HostsOptions): Promise<Ec2Hosts> {
  const say = (message: string): void => console.error(message)
  const emit = (event: { code: string; message?: string }): void => say(event.message ?? event.code)
  await ensureTools(emit, signal)
  const image = await ensureCloudRoot(say, signal)
  raiseKernelLimits(emit)
  const identity: StageIdentity = { name: `ec2${name}`, stage: 'staging', root: `${checkout}ec2/${name}`, contextDir: '/nonexistent' }
  const guard = await startGuard(identity)
  try {
    const stage = stageFolder(identity)
    mkdirSync(stage.folder, { recursive: true, mode: 0o755 })
    const prefixLength = Number(cidr.split('/')[1])
    // EC2 keeps the first addresses of every subnet for itself, so the gateway is free.
    const network = { shortName: 'network', address: cidr.split('/')[0]?.replace(/\.0$/, '.4') ?? '', prefixLength }
    await ensureSwitch(stage, [network])
    const relay = await Ec2Relay.start(stage.switchNamespace, join(stage.folder, 'relay.sock'), ports)
    const vpc = new Instances(stage, network, image, signal)
    front.onInstance((event) => vpc.follow(event))
    front.onAddresses((addresses) => relay.follow(addresses))
    front.console = (instanceId) => consoleOf(hostFolder(stage, instanceId))
    return {
      namespace: stage.switchNamespace,
      hostOf: (instanceId) => hostFolder(stage, instanceId),
      idle: () => vpc.idle(),
      stop: async () => {
        await relay.stop()
        await vpc.close()
        await guard.end()
      },
    }
  } catch (error) {
    await guard.end()
    throw error
  }
}

async function startGuard(identity: StageIdentity): Promise<{ readonly end: () => Promise<void> }> {
  const guard = spawn(process.execPath, [guardProgram, JSON.stringify(identity)], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  const exit = once(guard, 'exit')
  await Promise.race([once(guard.stdout, 'data'), exit])
  return {
    end: async () => {
      guard.stdin.end('done\n')
      const [code] = (await exit) as [number | null]
      if (code !== 0) throw new Error(`hosts were not taken away: the guard ended with ${code}`)
    },
  }
}

/** The hosts of a VPC. Events of one instance are worked off in order; those of different instances side by side. */
class Instances {
  readonly #stage: StageFolder
  readonly #network: NetworkHost
  readonly #image: string
  readonly #signal: AbortSignal
  readonly #work = new Map<string, Promise<void>>()
  #failures: unknown[] = []
  #closed = false

  constructor(stage: StageFolder, network: NetworkHost, image: string, signal: AbortSignal) {
    this.#stage = stage
    this.#network = network
    this.#image = image
    this.#signal = signal
  }

  follow(event: InstanceEvent): void {
    if (this.#closed) return
    const id = event.instance.InstanceId ?? ''
    // A new instance may have the private address of one that is just going.
    const before = event.kind === 'run' ? Promise.all(this.#work.values()) : this.#work.get(id)
    const work = Promise.resolve(before)
      .then(() => this.#do(event, hostFolder(this.#stage, id)))
      .catch((error: unknown) => void this.#failures.push(error))
    this.#work.set(id, work)
  }

  async idle(): Promise<void> {
    await Promise.all(this.#work.values())
    const failures = this.#failures
    this.#failures = []
    if (failures.length > 0) throw new AggregateError(failures, `instances: ${failures.map(String).join('; ')}`)
  }

  /** Nothing that is told from now on is done. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#work.values())
  }

  async #do(event: InstanceEvent, host: HostFolder): Promise<void> {
    if (this.#closed) return
    switch (event.kind) {
      case 'run':
        await this.#make(event, host)
        return this.#start(host)
      case 'start':
        return this.#start(host)
      case 'stop':
        await putDown(host, this.#signal)
        return disconnectHost(this.#stage, host)
      case 'terminate':
        return remove(this.#stage, host)
    }
  }

  async #make({ instance, region, userData, publicKey }: InstanceEvent, host: HostFolder): Promise<void> {
    const address = instance.PrivateIpAddress ?? ''
    const shortName = `ip-${address.replaceAll('.', '-')}`
    const name = `${shortName}.${region}.compute.internal`
    const record: HostRecord = { name, shortName: host.shortName, address, prefixLength: this.#network.prefixLength, baseRoot: this.#image, complete: true }
    mkdirSync(host.folder, { recursive: true, mode: 0o755 })
    writeHostRecord(host, record)
    await mountRoot(host, this.#image)
    await personalize(host.root, { name, shortName, address, nameServer: gatewayOf(record, [record]), authorizedKeys: '' })
    const seed = join(host.root, 'var/lib/cloud/seed/nocloud')
    mkdirSync(seed, { recursive: true, mode: 0o700 })
    const metaData = {
      'instance-id': instance.InstanceId,
      'local-hostname': shortName,
      ...(publicKey === undefined ? {} : { 'public-keys': [publicKey] }),
    }
    writeFileSync(join(seed, 'meta-data'), `${JSON.stringify(metaData)}\n`, { mode: 0o600 })
    writeFileSync(join(seed, 'user-data'), userData, { mode: 0o600 })
  }

  async #start(host: HostFolder): Promise<void> {
    const record = readHostRecord(host)
    if (record === undefined) throw new Error(`${host.shortName} was never run`)
    await connectHost(this.#stage, record, [record])
    await mountRoot(host, record.baseRoot)
    await startMachine(this.#stage, host, this.#signal)
  }
}

/**
 * What went to the system log, since a host has no console device; the layer of its own keeps it while it is off. As much of
 * the end as EC2 keeps.
 */
const consoleOf = (host: HostFolder): string => (tail(host.consoleLog) + tail(join(host.upper, 'var/log/syslog'))).slice(-consoleLimit)

/** The last 64 KiB; empty where there is no file. */
function tail(path: string): string {
  if (!existsSync(path)) return ''
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.alloc(Math.min(size, consoleLimit))
    readSync(file, buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString('utf8')
  } finally {
    closeSync(file)
  }
}

/** Runs a command as from within the VPC. */
export const insideVpc = (hosts: Pick<Ec2Hosts, 'namespace'>, argv: readonly string[], timeout = 30_000): ReturnType<typeof run> =>
  run(['nsenter', `--net=/run/netns/${hosts.namespace}`, ...argv], { timeout })
