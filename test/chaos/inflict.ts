/** Faults made on the lab's site: how each begins, how it is seen to have its effect, and how it ends. */
import { readFileSync } from 'node:fs'
import { cable, power, processesOf, smallDisk } from '../lab/harness/breaking.ts'
import { eventually, patience } from '../lab/harness/eventually.ts'
import { type Fault, type Kind, natures } from './faults.ts'
import { type ChaosLab, shortName } from './lab.ts'
import { slowDown, speedUp, type Way } from './slow-network.ts'

export interface Inflicted {
  /** Waits until it is seen. */
  effect(): Promise<void>
  end(): Promise<void>
  /** Of a coordinator: whether it was killed before it had done all. */
  cut?(): boolean
}

interface Scene {
  readonly lab: ChaosLab
  readonly fault: Fault
  /** Full name. */
  readonly host: string
  /** A manager that the round leaves alone. */
  readonly manager: string
  readonly way: Way
}

const nothing = async (): Promise<void> => undefined

/** Waits until the swarm calls the host's node down. */
async function missed({ lab, host, manager }: Scene): Promise<void> {
  await eventually(`the swarm misses ${host}`, patience, async () => {
    const states = await lab.site.onHost(manager, `docker node ls --format '{{.Hostname}} {{.Status}}'`, 30_000)
    return new RegExp(`^${shortName(host)} Down$`, 'm').test(states)
  })
}

async function agentMissed({ lab, host }: Scene): Promise<void> {
  await eventually(`the agent of ${host} does not answer`, patience, async () => {
    const { result } = await lab.site.succeed(['host', 'list'])
    return (result as readonly { readonly name: string; readonly agent?: unknown }[]).some(({ name, agent }) => name === host && agent === undefined)
  })
}

const isStopped = (pid: number): boolean => {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The host's only process of that name; it may be starting anew. */
const oneOf = ({ lab, host }: Scene, program: string): Promise<number> =>
  eventually(`${host} runs ${program}`, patience, async () => processesOf(lab.site, shortName(host), program)[0])

async function stopped(scene: Scene, program: string, effect: () => Promise<void>): Promise<Inflicted> {
  signal(await oneOf(scene, program), 'SIGSTOP')
  const all = (): readonly number[] => processesOf(scene.lab.site, shortName(scene.host), program)
  return {
    effect,
    end: async () => {
      for (const pid of all().filter(isStopped)) signal(pid, 'SIGCONT')
    },
  }
}

async function killed(scene: Scene, program: string): Promise<Inflicted> {
  const old = await oneOf(scene, program)
  signal(old, 'SIGKILL')
  return {
    effect: async () =>
      void (await eventually(`${program} of ${scene.host} is started anew`, patience, async () =>
        processesOf(scene.lab.site, shortName(scene.host), program).some((pid) => pid !== old),
      )),
    end: nothing,
  }
}

async function coordinatorKilled({ lab, fault }: Scene): Promise<Inflicted> {
  lab.change()
  let events = 0
  const command = lab.site.start(['deploy'], {
    onEvent: (event) => {
      events += 1
      // At the latest when the change itself is done: its run is not over with that.
      if (events === fault.length || (event.code === 'step.finished' && event.result === 'changed')) command.kill('SIGKILL')
    },
  })
  let cut = false
  return {
    effect: async () => {
      const { signal: by, code } = await command.done
      cut = by === 'SIGKILL'
      lab.say(cut ? `the deploy was killed after ${events} events` : `the deploy had ended (${code}) before it could be killed`)
    },
    end: nothing,
    cut: () => cut,
  }
}

const makers: Readonly<Record<Kind, (scene: Scene) => Promise<Inflicted>>> = {
  'power-off': async (scene) => {
    await power(scene.lab.site, 'off', scene.host)
    return { effect: () => missed(scene), end: () => power(scene.lab.site, 'on', scene.host) }
  },
  'cut-off': async (scene) => {
    await cable(scene.lab.site, 'unplug', scene.host)
    return { effect: () => missed(scene), end: () => cable(scene.lab.site, 'plug', scene.host) }
  },
  'slow-network': async ({ lab, host, way }) => {
    await slowDown(lab.site, host, way)
    return { effect: nothing, end: () => speedUp(lab.site, host, way) }
  },
  'stop-docker': (scene) => stopped(scene, 'dockerd', () => missed(scene)),
  'kill-docker': (scene) => killed(scene, 'dockerd'),
  'stop-agent': (scene) => stopped(scene, 'hive-agent', () => agentMissed(scene)),
  'kill-agent': (scene) => killed(scene, 'hive-agent'),
  'disk-full': async ({ lab, host }) => {
    const mend = [await smallDisk(lab.site, host, '/var/lib/hive-agent', '64k', true), await smallDisk(lab.site, host, '/var/lib/docker/tmp', '64k', true)]
    return {
      effect: nothing,
      end: async () => {
        for (const one of mend) await one()
      },
    }
  },
  'pool-full': async ({ lab, host }) => {
    await lab.drbd.fillPool(shortName(host), true)
    const isGivenUp = async (volume: string): Promise<boolean> => {
      const { stdout } = await lab.drbd.run(shortName(host), 'status', volume)
      return !/^\s+disk:UpToDate/m.test(stdout)
    }
    return {
      effect: async () =>
        void (await eventually(`the copies of ${host} are given up`, patience, async () => (await Promise.all(lab.volumes.map(isGivenUp))).every(Boolean))),
      end: async () => void (await lab.drbd.fillPool(shortName(host), false)),
    }
  },
  'coordinator-killed': coordinatorKilled,
  'repository-off': async ({ lab, host }) => {
    await power(lab.site, 'off', host)
    return { effect: nothing, end: () => power(lab.site, 'on', host) }
  },
}

/** Begins a fault. `all`: those of its round. */
export function inflict(lab: ChaosLab, fault: Fault, all: readonly Fault[], way: Way): Promise<Inflicted> {
  const named = fault.host === undefined ? undefined : lab.hives[fault.host]
  const manager = lab.hives.find((_, number) =>
    all.every(({ host, kind }) => host !== number || !(natures[kind].takes as readonly string[]).includes('manager')),
  )
  if (manager === undefined) throw new Error('the round leaves no manager alone')
  return makers[fault.kind]({ lab, fault, host: named ?? lab.repository, manager, way })
}
