/** Ways to break hosts of a stage, and to mend them. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { eventually, patience } from './eventually.ts'
import type { CommandOutcome, LabSite } from './lab-site.ts'
import { nothingLeft } from './plans.ts'

/**
 * Pids, as this machine counts them, of a host's processes by the name of their program: signals sent to them need no log-in and arrive at once.
 * `host`: its short name.
 */
export function processesOf(site: LabSite, host: string, name: string): readonly number[] {
  const stage = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
  const network = statSync(`/run/netns/${stage}-${host}`).ino
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && programOf(pid) === name && networkOf(pid) === network)
    .map(Number)
}

const programOf = (pid: string): string | undefined => {
  try {
    return basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '')
  } catch {
    return undefined
  }
}

const networkOf = (pid: string): number | undefined => {
  try {
    return statSync(`/proc/${pid}/ns/net`).ino
  } catch {
    return undefined
  }
}

/** Sends a signal to a host's only process of this name. Throws where there is none. */
export function signalProcess(site: LabSite, host: string, name: string, signal: NodeJS.Signals): void {
  const [pid] = processesOf(site, host, name)
  if (pid === undefined) throw new Error(`${host} has no process ${name}`)
  process.kill(pid, signal)
}

export const cable = async (site: LabSite, action: 'plug' | 'unplug', host: string): Promise<void> => void (await site.succeed(['lab', 'cable', action, host]))

export const power = async (site: LabSite, action: 'on' | 'off', host: string): Promise<void> => void (await site.succeed(['lab', 'power', action, host]))

/** Waits until `manager` sees this many nodes of the swarm as ready, and itself has a leader. */
export const nodesReady = (site: LabSite, manager: string, count: number): Promise<true> => nodesAre(site, manager, count, /^Ready/, 'ready')

/**
 * The same, and that managers among them are reachable. A node is ready up to two minutes before its manager takes part again: whoever breaks
 * another one in between takes the swarm's majority.
 */
export const managersReachable = (site: LabSite, manager: string, count: number): Promise<true> =>
  nodesAre(site, manager, count, /^Ready (?!Unreachable)/, 'ready and reachable')

const nodesAre = (site: LabSite, manager: string, count: number, state: RegExp, what: string): Promise<true> =>
  eventually(`${count} nodes are ${what}`, patience, async () => {
    const states = await site.onHost(manager, 'docker node ls --format "{{.Status}} {{.ManagerStatus}}"', 30_000)
    return states.split('\n').filter((line) => state.test(`${line} `)).length === count || undefined
  })

/** Puts a small file system over a folder of a host. `filled`: without a byte left. The answer takes it away again. */
export async function smallDisk(site: LabSite, host: string, folder: string, size: string, filled = false): Promise<() => Promise<void>> {
  const fill = filled ? `; head -c ${size} /dev/zero > ${folder}/ballast 2>/dev/null; true` : ''
  await site.onHost(host, `mkdir -p ${folder} && mount -t tmpfs -o size=${size},mode=711 tmpfs ${folder}${fill}`)
  return async () => void (await site.onHost(host, `umount ${folder}`))
}

/**
 * A deploy succeeds, and a plan then finds nothing to do, at the latest when swarm has started the tasks of a host that came back: it
 * stops what ran there and starts it anew some seconds after it calls the host ready.
 */
export async function healed(site: LabSite): Promise<CommandOutcome> {
  const outcome = await eventually('a deploy begins with a leader', patience, () =>
    site.succeed(['deploy']).catch((error: unknown) => {
      // Managers that came back may elect once more; any other failure counts.
      if (String(error).includes('swarm does not have a leader')) return undefined
      return { error }
    }),
  )
  if ('error' in outcome) throw outcome.error
  await nothingLeft(site)
  return outcome
}
