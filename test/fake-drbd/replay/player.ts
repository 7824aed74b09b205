/** Plays the steps of recorded states on one fake cluster, in the order of their times, and collects where the two differ. */
import { FakeCluster } from '../cluster.ts'
import { readSteps, type Step } from '../recordings.ts'
import { differencesOfStep, differencesOfViews } from './compare.ts'
import type { ConfiguredResource } from './resource-file.ts'
import { type Machine, Shell, type Waiting } from './shell.ts'
import type { Replayed } from './table.ts'

export const HOSTS = ['s-hive0', 's-hive1', 's-hive2']
const DISKS = [
  ['/dev/vda', 262_144],
  ['/dev/vdb', 131_072],
] as const

interface Task {
  wake: number
  waiting: Waiting
  end: () => void
}

export class Player {
  readonly cluster = new FakeCluster({ hosts: HOSTS, settings: { activityLogKib: 57_344 } })
  readonly machines = new Map<string, Machine>()
  readonly differences: string[] = []
  now = 1_000_000
  #tasks: Task[] = []
  #closes: { at: number; host: string; minor: number; id: string }[] = []

  constructor() {
    for (const name of HOSTS) {
      this.machines.set(name, { name, files: new Map(), mounts: new Map(), busyUntil: 0 })
      for (const [path, sizeKib] of DISKS) this.cluster.event({ kind: 'disk', host: name, path, sizeKib }, this.now)
    }
  }

  /** One state; it goes on where the last one ended. */
  play(folder: string, { state, before, meanwhile, until = Number.POSITIVE_INFINITY }: Replayed): void {
    before?.(this)
    const start = this.now
    let pending = meanwhile
    for (const step of readSteps(`${folder}/${state}`)) {
      if (step.at > until) break
      if (pending !== undefined && step.at > pending.at) {
        this.#until(start + pending.at * 1000)
        pending.act(this)
        pending = undefined
      }
      this.#until(start + step.at * 1000)
      this.#begin(folder, state, step, start)
    }
    this.#until(Number.POSITIVE_INFINITY)
  }

  /** Lets time pass with nothing typed. */
  pass(ms: number): void {
    this.#until(this.now + ms)
  }

  /** What was typed between two states and not written down. */
  type(script: string, ...hosts: string[]): void {
    for (const name of hosts.length === 0 ? HOSTS : hosts) {
      const shell = new Shell(this.cluster, this.machines.get(name) as Machine, this.now)
      this.#step({ wake: this.now, waiting: shell.run(script), end: () => undefined })
    }
    this.#until(this.now + 2_000)
  }

  /** Edits the resource file on every host. */
  edit(change: (file: ConfiguredResource) => ConfiguredResource): void {
    for (const machine of this.machines.values()) for (const [name, file] of machine.files) machine.files.set(name, change(file))
  }

  addFile(name: string, from: (hive: ConfiguredResource) => ConfiguredResource): void {
    for (const machine of this.machines.values()) machine.files.set(name, from(machine.files.get('hive') as ConfiguredResource))
  }

  outside(text: string): void {
    this.#outside(text)
    this.pass(1_000)
  }

  #begin(folder: string, state: string, step: Step, start: number): void {
    const at = start + step.at * 1000
    if (step.kind === 'outside') {
      this.#outside(step.text)
      return
    }
    if (step.kind === 'recorded') {
      for (const host of step.hosts) {
        const into = `${folder}/${state}/${host}${step.into === '' ? '' : `/${step.into}`}`
        const waiting = this.#look(this.machines.get(host) as Machine, into, step.took * 1000, `${state} t=${step.at} ${host} ${step.into}`)
        this.#step({ wake: this.now, waiting, end: () => undefined })
      }
      return
    }
    const machine = this.machines.get(step.host) as Machine
    const shell = new Shell(this.cluster, machine, at)
    const waiting = shell.run(step.command)
    this.#step({
      wake: at,
      waiting,
      end: () => {
        this.#closes.push(...shell.later.map((close) => ({ ...close, host: machine.name })))
        for (const one of differencesOfStep(step, shell.output)) this.differences.push(`${state} t=${step.at} ${step.host}: ${one}`)
      },
    })
  }

  /** A host's views were not written down at one instant: each is as recorded at some time while that went on. */
  *#look(machine: Machine, folder: string, took: number, where: string): Waiting {
    const start = this.now
    let left: Map<string, string> | undefined
    for (let part = 0; part <= 4; part++) {
      if (part > 0) yield start + (took * part) / 4
      if (this.cluster.state.hosts[machine.name]?.powered !== true) break
      const found = new Map(differencesOfViews(this.cluster, machine, folder, this.now).map((one) => [one.split('\n')[0] as string, one]))
      left = left === undefined ? found : new Map([...left].filter(([what]) => found.has(what)))
      if (left.size === 0) return
    }
    for (const one of left?.values() ?? []) this.differences.push(`${where}: ${one}`)
  }

  #step(task: Task): void {
    const next = task.waiting.next(this.now)
    if (next.done === true) task.end()
    else this.#tasks.push({ ...task, wake: next.value })
  }

  /** Everything that is due before `time`: waiting commands, closes that come by themselves. */
  #until(time: number): void {
    for (;;) {
      const task = [...this.#tasks].sort((a, b) => a.wake - b.wake)[0]
      const close = [...this.#closes].sort((a, b) => a.at - b.at)[0]
      const next = Math.min(task?.wake ?? Number.POSITIVE_INFINITY, close?.at ?? Number.POSITIVE_INFINITY)
      if (next > time || next === Number.POSITIVE_INFINITY) break
      this.now = Math.max(this.now, next)
      if (close !== undefined && close.at === next) {
        this.#closes = this.#closes.filter((one) => one !== close)
        if (this.cluster.state.hosts[close.host]?.powered === true) this.cluster.host(close.host).close(close.minor, close.id, this.now)
      } else if (task !== undefined) {
        this.#tasks = this.#tasks.filter((one) => one !== task)
        this.#step(task)
      }
    }
    if (time !== Number.POSITIVE_INFINITY) this.now = Math.max(this.now, time)
    this.cluster.tick(this.now)
  }

  /** "host side" lines: power, cables, grown disks. */
  #outside(text: string): void {
    const named = [...new Set(text.match(/s-hive\d/g) ?? [])]
    const power = (host: string, on: boolean): void => {
      this.cluster.event({ kind: 'power', host, on }, this.now)
      this.machines.get(host)?.mounts.clear()
    }
    const cable = /ip link set d9tap(\d) (down|up)/.exec(text)
    if (cable !== null) {
      const host = `s-hive${cable[1]}`
      for (const other of HOSTS) if (other !== host) this.cluster.event({ kind: 'link', between: [host, other], up: cable[2] === 'up' }, this.now)
    } else if (text.includes('SIGKILL')) {
      for (const host of text.includes('QEMUs') ? named.slice(0, 2) : named.slice(0, 1)) power(host, false)
    } else if (/QEMU of \S+ started again/.test(text)) power(named[0] as string, true)
    else if (text.includes('block_resize')) for (const host of named) this.cluster.event({ kind: 'disk', host, path: '/dev/vda', sizeKib: 327_680 }, this.now)
  }
}
