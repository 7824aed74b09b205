/** A host's fake LVM with its volumes as files and loop devices. They outlive the host's power, as disks do; its device nodes do not. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FakeLvm, type FakeVolume, type LvmAnswer, type LvmEffect, type LvmTool } from './fake-lvm.ts'
import { attachLoop, detachLoop, growLoop, loopMajor, sparseFile } from './loop-devices.ts'
import { placeNode, removeNode } from './nodes.ts'

export const devicePath = ({ group, name }: Pick<FakeVolume, 'group' | 'name'>): string => `/dev/${group}/${name}`

/** A volume came (new), grew, or went (undefined). */
export type VolumeNews = (path: string, sizeKib: number | undefined, isNew: boolean) => void

export class LogicalVolumes {
  readonly #lvm = new FakeLvm()
  readonly #folder: string
  readonly #loops = new Map<string, number>()
  #leader: number | undefined
  readonly #told: VolumeNews

  constructor(folder: string, told: VolumeNews) {
    this.#folder = folder
    this.#told = told
  }

  has(name: string): boolean {
    return this.#lvm.volumes.some((volume) => volume.name === name)
  }

  /** Of all volumes, as /dev/GROUP/NAME. */
  paths(): readonly string[] {
    return this.#lvm.volumes.map(devicePath)
  }

  run(tool: LvmTool, argv: readonly string[], isAttached: (path: string) => boolean): LvmAnswer {
    const answer = this.#lvm.run(tool, argv, {
      isOpen: (volume) => isAttached(devicePath(volume)),
      writtenBytes: (volume) => statSync(this.#file(volume)).blocks * 512,
    })
    for (const effect of answer.effects) this.#carryOut(effect)
    return answer
  }

  /** The host has come up: what is active has a device again. */
  powerOn(leader: number): void {
    this.#leader = leader
    for (const volume of this.#lvm.volumes) this.#show(volume)
  }

  powerOff(): void {
    this.#leader = undefined
    for (const loop of this.#loops.values()) detachLoop(loop)
    this.#loops.clear()
  }

  /** The file behind /dev/GROUP/NAME; undefined where there is no such volume. */
  fileOf(path: string): string | undefined {
    const volume = this.#lvm.volumes.find((one) => devicePath(one) === path)
    return volume === undefined ? undefined : this.#file(volume)
  }

  /** The disk beneath a volume has gone, with all that it held. */
  lose(name: string): void {
    const volume = this.#lvm.volumes.find((one) => one.name === name)
    if (volume === undefined) throw new Error(`there is no logical volume ${name}`)
    for (const effect of this.#lvm.run('lvremove', ['--yes', `${volume.group}/${volume.name}`]).effects) this.#carryOut(effect)
  }

  #carryOut({ kind, volume }: LvmEffect): void {
    const file = this.#file(volume)
    if (kind === 'removed') {
      this.#hide(volume)
      rmSync(file)
      this.#told(devicePath(volume), undefined, false)
      return
    }
    mkdirSync(dirname(file), { recursive: true })
    if (kind === 'made' && volume.origin !== '') execFileSync('cp', ['--sparse=always', this.#file({ ...volume, name: volume.origin }), file])
    sparseFile(file, volume.bytes)
    this.#show(volume)
    this.#told(devicePath(volume), volume.bytes / 1024, kind === 'made')
  }

  #file({ group, name }: FakeVolume): string {
    return join(this.#folder, group, `${name}.img`)
  }

  #show(volume: FakeVolume): void {
    if (this.#leader === undefined) return
    if (!volume.active) {
      this.#hide(volume)
      return
    }
    const path = devicePath(volume)
    const known = this.#loops.get(path)
    const loop = known ?? attachLoop(this.#file(volume))
    if (known === undefined) this.#loops.set(path, loop)
    else growLoop(known)
    placeNode(this.#leader, path, loopMajor, loop)
  }

  #hide(volume: FakeVolume): void {
    const path = devicePath(volume)
    const loop = this.#loops.get(path)
    if (loop !== undefined) detachLoop(loop)
    this.#loops.delete(path)
    if (this.#leader !== undefined) removeNode(this.#leader, path)
  }
}
