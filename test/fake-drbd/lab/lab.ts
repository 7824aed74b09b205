/**
 * The lab's side of the fake DRBD: follows the hosts of one stage (power, cables, mounts), tells the machine, and puts into the hosts what the
 * machine says: answers of tools, device nodes, file systems that fail.
 */
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { listens } from '../../../coordinator/providers/nspawn/network.ts'
import type { StageFolder } from '../../../coordinator/providers/nspawn/stage-folder.ts'
import { withMetadata } from '../metadata.ts'
import type { Call, Reply } from './call-server.ts'
import { type LvmTool, lvmTools } from './fake-lvm.ts'
import type { FakeMachine, Mounted, Outcome } from './fake-machine.ts'
import { captureInHost, installPackages, realDrbdmeta, writeWrappers } from './host-software.ts'
import { kernelAnswer } from './kernel-answers.ts'
import { LogicalVolumes } from './logical-volumes.ts'
import { loopMajor } from './loop-devices.ts'
import { NetworkResident } from './network-resident.ts'
import { SharedDisk } from './shared-disk.ts'
import { hostsOf, stageOf } from './stage-hosts.ts'

/** A host that runs. */
interface Running {
  readonly name: string
  readonly address: string
  readonly leader: number
  readonly resident: NetworkResident
  mountinfo: string
  /** What that says of loop devices, by MAJOR:MINOR. */
  mounts: ReadonlyMap<string, Exclude<Mounted, 'no'>>
  /** modprobe was called, or a command that does it by itself. */
  moduleLoaded: boolean
  /** Commands that follow events. */
  readonly followers: Set<() => void>
}

export class Lab {
  readonly #folder: string
  readonly #siteFolder: string
  readonly #machine: FakeMachine
  #stage: StageFolder | undefined
  readonly #running = new Map<string, Running>()
  readonly #volumes = new Map<string, LogicalVolumes>()
  readonly #disks = new Map<string, SharedDisk>()
  /** `modinfo drbd` as recorded. */
  readonly #modinfo: string

  constructor(folder: string, siteFolder: string, machine: FakeMachine, modinfo: string) {
    this.#folder = folder
    this.#siteFolder = siteFolder
    this.#machine = machine
    this.#modinfo = modinfo
  }

  /** Looks who runs; call some times a second. */
  discover(): void {
    this.#stage ??= stageOf(this.#siteFolder)
    if (this.#stage === undefined) return
    for (const { name, address, leader } of hostsOf(this.#stage)) {
      const known = this.#running.get(name)
      if (known !== undefined && known.leader !== leader) this.#powerLost(known)
      if (leader !== undefined && this.#running.get(name)?.leader !== leader) this.#powerOn(name, address, leader)
    }
  }

  #powerOn(name: string, address: string, leader: number): void {
    try {
      writeWrappers(leader)
      this.volumesOf(name).powerOn(leader)
    } catch (error) {
      this.note(`${name}: ${String(error)}`)
      return
    }
    const resident = new NetworkResident(name, leader, () => {
      const known = this.#running.get(name)
      if (known?.resident === resident) this.#powerLost(known)
    })
    this.#running.set(name, { name, address, leader, resident, mountinfo: '', mounts: new Map(), moduleLoaded: false, followers: new Set() })
    this.#machine.power(name, true)
    this.note(`${name}: on`)
    installPackages(leader).catch((error: unknown) => this.note(`${name}: ${String(error)}`))
  }

  #powerLost(host: Running): void {
    this.#running.delete(host.name)
    host.resident.stop()
    for (const stop of host.followers) stop()
    for (const disk of this.#disks.values()) disk.drop(host.name)
    this.volumesOf(host.name).powerOff()
    this.#machine.power(host.name, false)
    this.note(`${host.name}: off`)
  }

  /** Brings machine and hosts together; call often. */
  step(): void {
    const hosts = [...this.#running.values()]
    for (const host of hosts) {
      const others = hosts.filter((one) => one !== host)
      const ports = this.#machine.ports(host.name).filter(({ active }) => active)
      host.resident.want(Object.fromEntries(others.map(({ name, address }) => [name, address])), [...new Set(ports.map(({ port }) => port))])
      for (const other of others)
        if (host.name < other.name) this.#machine.link(host.name, other.name, host.resident.reaches(other.name) && other.resident.reaches(host.name))
    }
    this.#machine.tick()
    for (const host of hosts) this.#watchMounts(host)
    for (const host of hosts) this.#placeDevices(host)
  }

  #watchMounts(host: Running): void {
    let text: string
    try {
      text = readFileSync(`/proc/${host.leader}/mountinfo`, 'utf8')
    } catch {
      this.#powerLost(host)
      return
    }
    if (text !== host.mountinfo) Object.assign(host, { mountinfo: text, mounts: mountsOf(text) })
    for (const [name, disk] of this.#disks)
      disk.watch(host.name, host.mounts, {
        mounted: (minor, how) => {
          this.note(`${host.name}: ${name} mounted: ${how}`)
          this.#machine.mounted(host.name, minor, how)
        },
        written: (minor, kib) => this.#machine.written(host.name, minor, kib),
      })
  }

  #placeDevices(host: Running): void {
    if (!this.#running.has(host.name)) return
    const devices = this.#machine.devices(host.name)
    try {
      for (const device of devices) if (device.sizeKib > 0) this.#diskOf(device.resource).apply(host.name, host.leader, device)
      for (const [name, disk] of this.#disks) if (!devices.some(({ resource }) => resource === name)) disk.drop(host.name)
    } catch (error) {
      // It dies at this moment; whoever looks next sees it gone.
      this.note(`${host.name}: ${String(error)}`)
    }
  }

  #diskOf(resource: string): SharedDisk {
    const known = this.#disks.get(resource)
    if (known !== undefined) return known
    const made = new SharedDisk(this.#folder, resource)
    this.#disks.set(resource, made)
    return made
  }

  volumesOf(host: string): LogicalVolumes {
    const known = this.#volumes.get(host)
    if (known !== undefined) return known
    const made = new LogicalVolumes(join(this.#folder, 'hosts', host), (path, sizeKib, isNew) => {
      this.#machine.disk(host, path, sizeKib, isNew)
      if (sizeKib === undefined) this.#forgetData(path.split('/').at(-1) ?? '')
    })
    this.#volumes.set(host, made)
    return made
  }

  /** Where no host has a logical volume of that name any more, the data is gone. */
  #forgetData(name: string): void {
    if ([...this.#volumes.values()].some((volumes) => volumes.has(name))) return
    const disk = this.#disks.get(name)
    if (disk === undefined) return
    for (const host of this.#running.keys()) disk.drop(host)
    this.#disks.delete(name)
    rmSync(join(this.#folder, 'volumes', `${name}.img`), { force: true })
  }

  /** The disk of a host was replaced by an empty one: its logical volume is gone. */
  replaceDisk(host: string, volume: string): void {
    this.volumesOf(host).lose(volume)
  }

  /** Nothing can be written to the host's pool any more, or can again. FAKE: all volumes in it fail at once, not as each is written to; LVM tells as before. */
  fillPool(host: string, full: boolean): void {
    for (const path of this.volumesOf(host).paths()) this.#machine.breakDisk(host, path, full)
    this.note(`${host}: its pool ${full ? 'is full' : 'has room'}`)
  }

  async answer({ host: name, tool, argv }: Call, reply: Reply): Promise<void> {
    this.discover()
    const host = this.#running.get(name)
    if (host === undefined) return give(reply, { code: 20, stdout: '', stderr: `fake-drbd knows no host ${name}\n` })
    const reader = readers[tool]
    if (reader !== undefined) {
      this.#refreshDisks(name, argv)
      this.note(`${name}: ${tool} ${argv.join(' ')}: handed on`)
      return reply.exec([reader, ...argv])
    }
    if (tool === 'drbdsetup' && this.#follow(host, argv, reply)) return
    const outcome = isLvmTool(tool)
      ? this.volumesOf(name).run(tool, argv, (path) => this.#machine.isAttached(name, path))
      : tool === 'drbdsetup'
        ? await this.#drbdsetup(host, argv)
        : tool === 'drbdmeta'
          ? await this.#drbdmeta(host, argv)
          : this.#kernelTool(host, tool, argv)
    if (outcome === undefined) return reply.exec([tool === 'journalctl' ? '/usr/bin/journalctl' : `/usr/sbin/${tool}`, ...argv])
    this.note(`${name}: ${tool} ${argv.join(' ')}: ${outcome.code}${outcome.code === 0 ? '' : ` ${outcome.stderr.trim()}`}`)
    give(reply, outcome)
  }

  /** Those that a command names. */
  #refreshDisks(host: string, argv: readonly string[]): void {
    for (const { resource, backing } of this.#machine.devices(host)) {
      if (backing === undefined || !argv.some((word) => word.endsWith(backing))) continue
      const file = this.volumesOf(host).fileOf(backing)
      if (file !== undefined) this.#disks.get(resource)?.copyHead(host, file)
    }
  }

  #follow(host: Running, argv: readonly string[], reply: Reply): boolean {
    const stop = this.#machine.follow(host.name, argv, reply.out)
    if (stop === undefined) return false
    this.note(`${host.name}: drbdsetup ${argv.join(' ')}: goes on`)
    host.moduleLoaded = true
    host.followers.add(stop)
    reply.onGone(() => {
      stop()
      host.followers.delete(stop)
    })
    return true
  }

  async #drbdsetup(host: Running, argv: readonly string[]): Promise<Outcome> {
    host.moduleLoaded = true
    // A kernel knows of each mount and its end at once, without looking.
    this.#watchMounts(host)
    if (argv[0] === 'connect') this.#seeForeignPorts(host)
    const outcome = await this.#machine.run(host.name, argv)
    // What the command changed is to be seen in the host's /dev when it returns.
    if (!readingCommands.has(argv[0] ?? '') && !readingCommands.has(argv[1] ?? '')) this.step()
    return outcome
  }

  /** Who listens on a port that DRBD is about to take. What this host's resident process listens on was DRBD's before. */
  #seeForeignPorts(host: Running): void {
    const tables = ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/${host.leader}/net/${name}`, 'utf8'))
    for (const { port } of this.#machine.ports(host.name)) this.#machine.foreignPort(host.name, port, listens(tables, port) && !host.resident.holds(port))
  }

  /**
   * The real program works on the real volume, so that what probes the volume sees metadata; the machine keeps the metadata that
   * lives, and what it knows better replaces what was read.
   */
  async #drbdmeta(host: Running, argv: readonly string[]): Promise<Outcome> {
    const outcome = await captureInHost(host.leader, [realDrbdmeta, ...argv])
    const [, , path = '', , command, ...rest] = argv.filter((word) => !word.startsWith('-'))
    if (outcome.code !== 0) return outcome
    if (command === 'create-md') this.#machine.metadataMade(host.name, path, Number(rest[0] ?? 1))
    if (command === 'wipe-md') this.#machine.metadataMade(host.name, path, undefined)
    const meta = command === 'dump-md' ? this.#machine.metadataOf(host.name, path) : undefined
    if (meta === undefined) return outcome
    return { ...outcome, stdout: withMetadata(outcome.stdout, meta) }
  }

  /** undefined: the real one answers. */
  #kernelTool(host: Running, tool: string, argv: readonly string[]): Outcome | undefined {
    if (tool === 'modprobe' && argv.includes('drbd')) host.moduleLoaded = !argv.some((word) => word === '-r' || word === '--remove')
    const kernel = { host: host.name, modinfo: this.#modinfo, moduleLoaded: host.moduleLoaded, log: this.#machine.kernelLog(host.name) }
    const stdout = kernelAnswer(kernel, tool, argv)
    return stdout === undefined ? undefined : { code: 0, stdout, stderr: '' }
  }

  /** A line in FOLDER/log. */
  note(text: string): void {
    appendFileSync(join(this.#folder, 'log'), `${new Date().toISOString()} ${text}\n`)
  }

  /** Lets everything go. What is still mounted in a host goes when that is unmounted. */
  async stop(): Promise<void> {
    for (const host of [...this.#running.values()]) this.#powerLost(host)
    await Promise.all([...this.#disks.values()].map((disk) => disk.settled()))
  }
}

/** Commands of drbdsetup that change nothing; of some, the minor stands before them. */
const readingCommands = new Set(['status', 'show', 'show-gi', 'get-gi', 'events2', 'dstate', 'cstate', 'role'])

/** Programs with which disks are read, and the real ones. */
const readers: Readonly<Record<string, string>> = { dd: '/usr/bin/dd', blkid: '/usr/sbin/blkid', wipefs: '/usr/sbin/wipefs' }

function mountsOf(mountinfo: string): ReadonlyMap<string, Exclude<Mounted, 'no'>> {
  const lines = mountinfo.split('\n').map((line) => [line.split(' ')[2] ?? '', line] as const)
  return new Map(
    lines
      .filter(([device]) => device.startsWith(`${loopMajor}:`))
      .map(([device, line]) => [device, / - \S+ \S+ (?:\S+,)?ro(?:,|$)/.test(line) ? 'read-only' : 'writable']),
  )
}

function give(reply: Reply, { code, stdout, stderr }: Outcome): void {
  if (stdout !== '') reply.out(stdout)
  if (stderr !== '') reply.err(stderr)
  reply.end(code)
}

const isLvmTool = (tool: string): tool is LvmTool => lvmTools.some((one) => one === tool)
