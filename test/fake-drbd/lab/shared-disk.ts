/**
 * /dev/drbdN of all hosts for one resource. What the fake models is states, not copies: there is one image file, and each host that may open
 * the device has a loop device of its own over it. So that two never write to it, the node of a host leads nowhere ("No such device or
 * address") unless the machine would let it be Primary and no other host has a file system on it that still works; and the file system
 * of a Primary whose writes DRBD would fail is shut down, as by a disk that went away, before another host gets the device. Only where
 * quorum is off can two be Primary: then the second one and those with it go on with a copy, until they are filled from the others, or
 * these from them.
 *
 * Who reads a disk below DRBD (the agent looks for file systems there, past DRBD) sees the beginning of the image, which is copied to the
 * logical volume when a host's dd or blkid starts, if the machine says that its disk has the data.
 *
 * Unlike DRBD: an open that is refused fails at once, without auto-promote-timeout, with ENXIO in place of EMEDIUMTYPE; a Primary without
 * quorum fails when the machine notices, without a time in which its writes hang; a program that opens the device without claiming it (dd) does not make
 * its host Primary.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { MachineDevice, Mounted } from './fake-machine.ts'
import { inHost } from './host-software.ts'
import { attachLoop, detachLoop, growLoop, isAttached, isClaimed, loopMajor, sectorsWritten, sparseFile } from './loop-devices.ts'
import { placeNode, removeNode } from './nodes.ts'

/** DRBD's own major number: no driver answers to it here. */
const drbdMajor = 147

/** More than any superblock needs. */
const headBytes = 1 << 20

interface HostDevice {
  readonly leader: number
  readonly minor: number
  readonly loop: number
  mounted: Mounted
  /** Sectors written so far, as the kernel counts them. */
  written: number
  /** Its file system was shut down and is still mounted. */
  dead: boolean
  dying: Promise<void> | undefined
}

/** EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are the same call; 2: without writing the log. */
const shutdownScript = `import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))`

export interface DeviceNews {
  mounted(minor: number, how: Mounted): void
  written(minor: number, kib: number): void
}

export class SharedDisk {
  readonly #image: string
  readonly #devices = new Map<string, HostDevice>()
  /** Loop devices of hosts that died and their images, until the kernel has let them go. */
  #ghosts: { readonly loop: number; readonly image: string }[] = []
  /** Of hosts that have another image than the first. */
  readonly #images = new Map<string, string>()
  #sizeKib = 0

  constructor(folder: string, resource: string) {
    this.#image = join(folder, 'volumes', `${resource}.img`)
    mkdirSync(dirname(this.#image), { recursive: true })
  }

  /** Brings a running host's node to what the machine says. Call often: it does little where nothing changed. */
  apply(host: string, leader: number, want: MachineDevice): void {
    if (want.sizeKib > this.#sizeKib) this.#grow(want.sizeKib)
    if (want.filledFrom !== undefined) this.#follow(host, want.filledFrom)
    const device = this.#devices.get(host)
    if (device !== undefined && (device.leader !== leader || device.minor !== want.minor)) this.drop(host)
    const path = `/dev/drbd${want.minor}`
    const own = this.#devices.get(host)
    if (own !== undefined && own.mounted !== 'no' && want.fails) this.#kill(own)
    // Who looks for mounts of the device compares their number with the node's.
    if (own !== undefined && own.mounted !== 'no') return
    const primary = want.mayOpen && want.withoutQuorum ? this.#holderBeside(host) : undefined
    if (primary !== undefined && !want.together.includes(primary)) this.#part(host, want.together, primary)
    if (!want.mayOpen || want.fails || this.#isGhostly(host) || this.#holderBeside(host) !== undefined) {
      placeNode(leader, path, drbdMajor, want.minor)
      return
    }
    placeNode(leader, path, loopMajor, (this.#devices.get(host) ?? this.#attach(host, leader, want.minor)).loop)
  }

  #attach(host: string, leader: number, minor: number): HostDevice {
    const loop = attachLoop(this.#imageOf(host))
    this.#ghosts = this.#ghosts.filter((ghost) => ghost.loop !== loop)
    const device: HostDevice = { leader, minor, loop, mounted: 'no', written: 0, dead: false, dying: undefined }
    this.#devices.set(host, device)
    return device
  }

  /** Looks at how a host has it mounted and at what it wrote, and tells what is new. `mounts`: of the host, by MAJOR:MINOR. */
  watch(host: string, mounts: ReadonlyMap<string, Exclude<Mounted, 'no'>>, news: DeviceNews): void {
    const device = this.#devices.get(host)
    if (device === undefined) return
    const now = mounts.get(`${loopMajor}:${device.loop}`) ?? 'no'
    if (device.mounted !== 'no') {
      const written = sectorsWritten(device.loop)
      if (written > device.written) news.written(device.minor, (written - device.written) / 2)
      device.written = written
    }
    // Out of sight is not yet closed: a container or a lazy unmount may hold it.
    if (now === device.mounted || (now === 'no' && isClaimed(device.loop))) return
    device.mounted = now
    if (now === 'no') device.dead = false
    else device.written = sectorsWritten(device.loop)
    news.mounted(device.minor, now)
  }

  /** The beginning of the data, as a disk that holds them has it, too. */
  copyHead(host: string, disk: string): void {
    const [from, to] = [openSync(this.#imageOf(host), 'r'), openSync(disk, 'r+')]
    try {
      const head = Buffer.alloc(headBytes)
      writeSync(to, head, 0, readSync(from, head, 0, headBytes, 0), 0)
    } finally {
      for (const file of [from, to]) closeSync(file)
    }
  }

  /** The device is configured no more, or the host has died. */
  drop(host: string): void {
    const device = this.#devices.get(host)
    if (device === undefined) return
    this.#devices.delete(host)
    detachLoop(device.loop)
    this.#ghosts.push({ loop: device.loop, image: this.#imageOf(host) })
    try {
      removeNode(device.leader, `/dev/drbd${device.minor}`)
    } catch {
      // The host is gone, and its /dev with it.
    }
  }

  /** Resolves when no file system that was told to die still works. */
  async settled(): Promise<void> {
    await Promise.all([...this.#devices.values()].map(({ dying }) => dying))
  }

  #imageOf = (host: string): string => this.#images.get(host) ?? this.#image

  /** A host that died may still be writing what it had in its memory. */
  #isGhostly(host: string): boolean {
    this.#ghosts = this.#ghosts.filter(({ loop, image }) => isAttached(loop, image))
    return this.#ghosts.some(({ image }) => image === this.#imageOf(host))
  }

  /** Another host that has this one's image mounted. */
  #holderBeside(host: string): string | undefined {
    const held = (name: string, device: HostDevice): boolean => name !== host && this.#imageOf(name) === this.#imageOf(host) && device.mounted !== 'no'
    return [...this.#devices].find(([name, device]) => held(name, device) && !device.dead)?.[0]
  }

  /** The host, and those with it, go on with data of their own: what the other one's file system had at one moment, although that goes on writing. */
  #part(host: string, together: readonly string[], writer: string): void {
    const copy = this.#image.replace(/\.img$/, `-${host}.img`)
    const thaw = this.#freeze(writer)
    try {
      execFileSync('cp', ['--sparse=always', this.#imageOf(host), copy])
    } finally {
      thaw()
    }
    for (const name of [host, ...together]) this.#change(name, copy)
  }

  /** Nothing of a host's file system is written until the answer is called. One that went meanwhile writes nothing either. */
  #freeze(host: string): () => void {
    const device = this.#devices.get(host)
    const target = device === undefined ? undefined : mountedAt(device)
    if (target === undefined) return () => undefined
    const tell = (what: string): void => void execFileSync('fsfreeze', [what, target], { stdio: 'ignore', timeout: 10_000 })
    try {
      tell('--freeze')
    } catch {
      return () => undefined
    }
    return () => {
      try {
        tell('--unfreeze')
      } catch {
        // Its host has died, and the file system went with it.
      }
    }
  }

  /** The host's disk is filled from another one's: it has that one's data from now on. */
  #follow(host: string, source: string): void {
    if (this.#imageOf(host) !== this.#imageOf(source)) this.#change(host, this.#imageOf(source))
  }

  #change(host: string, image: string): void {
    this.drop(host)
    this.#images.set(host, image)
  }

  #kill(device: HostDevice): void {
    if (device.dead || device.dying !== undefined) return
    device.dying = this.#shutDown(device).finally(() => {
      device.dying = undefined
    })
  }

  async #shutDown(device: HostDevice): Promise<void> {
    try {
      const target = await inHost(device.leader, ['sh', '-c', `awk '$3 == "${loopMajor}:${device.loop}" {print $5; exit}' /proc/1/mountinfo`])
      await inHost(device.leader, ['python3', '-I', '-S', '-c', shutdownScript, target.trim()])
      device.dead = true
    } catch {
      // It was unmounted meanwhile, or its host has died; else the next look tries again.
    }
  }

  #grow(sizeKib: number): void {
    this.#sizeKib = sizeKib
    for (const image of new Set([this.#image, ...this.#images.values()])) sparseFile(image, sizeKib * 1024)
    for (const { loop } of this.#devices.values()) growLoop(loop)
  }
}

/** As this machine sees it. */
function mountedAt({ leader, loop }: Pick<HostDevice, 'leader' | 'loop'>): string | undefined {
  try {
    const line = readFileSync(`/proc/${leader}/mountinfo`, 'utf8')
      .split('\n')
      .find((one) => one.split(' ')[2] === `${loopMajor}:${loop}`)
    const target = line?.split(' ')[4]
    return target === undefined ? undefined : `/proc/${leader}/root${target}`
  } catch {
    return undefined
  }
}
