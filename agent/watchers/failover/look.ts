/** One look at this host: states of DRBD, mounts, and what else they make worth asking for. Reads only. */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { type KernelLog, readKernelLog } from '../../adapters/drbd/kernel-log.ts'
import { readStatus } from '../../adapters/drbd/read-status.ts'
import { deviceNumberOf, holdersOfAll, isOf, readMounts } from '../../adapters/mounts.ts'
import { readDocker, readSwarm } from './docker-view.ts'
import { type Picture, type VolumeView, worthAsking } from './picture.ts'

export interface LookOptions {
  readonly signal: AbortSignal
  readonly now: number
  /** Whether a step or an operation of the agent works on the volume of this name. */
  readonly busy: (volume: string) => boolean
  /** What is about to be acted upon is not taken from memory. */
  readonly fresh?: boolean
}

/** Seconds of the kernel's log: a host may be gone for a day before it comes back. */
const logged = 86_400
/** Milliseconds for which the log is not read again while the connections are as they were: some stand alone for days. */
const remembered = 60_000
const logs = new Map<string, { readonly states: string; readonly at: number; readonly lines: readonly string[] }>()

/** Rejects where DRBD does not answer, or the signal is aborted. */
export async function look({ signal, now, busy, fresh = false }: LookOptions): Promise<Picture> {
  const [statuses, mounts] = await Promise.all([readStatus(signal), readMounts()])
  // Read once for all volumes that it may tell of, and not where it can tell of none.
  let reading: Promise<KernelLog> | undefined
  const readLog = (): Promise<KernelLog> => {
    reading ??= readKernelLog({ sinceSeconds: logged, signal })
    return reading
  }
  const volumes = await Promise.all(
    statuses.map(async (status): Promise<VolumeView> => {
      const numbers = await Promise.all(status.devices.map(({ minor }) => deviceNumberOf(`/dev/drbd${minor}`)))
      const plain: VolumeView = {
        name: status.name,
        status,
        busy: busy(status.name),
        mounts: mounts.filter((mount) => status.devices.some(({ minor }, index) => isOf(mount, `/dev/drbd${minor}`, numbers[index]))),
        holders: undefined,
        kernelLog: undefined,
      }
      const [holders, kernelLog] = await Promise.all([
        // Without its device node nobody could be found to hold it, which is not to say that nobody does.
        worthAsking.holders(plain) && !numbers.includes(undefined) ? holdersOfAll(status.devices) : undefined,
        worthAsking.kernelLog(plain) ? kernelLines(status, fresh, readLog) : undefined,
      ])
      return { ...plain, holders, kernelLog }
    }),
  )
  const docker = worthAsking.docker(volumes) ? await readDocker(signal) : undefined
  if (docker === undefined || !worthAsking.swarm(volumes, docker, now)) return { volumes, docker }
  return { volumes, docker: { ...docker, swarm: await readSwarm(signal) } }
}

async function kernelLines({ name, connections }: DrbdResourceStatus, fresh: boolean, readLog: () => Promise<KernelLog>): Promise<readonly string[]> {
  const states = connections.map(({ name: peer, state }) => `${peer} ${state}`).join()
  const known = logs.get(name)
  const at = performance.now()
  if (!fresh && known?.states === states && at - known.at < remembered) return known.lines
  const lines = (await readLog()).of(name)
  logs.set(name, { states, at, lines })
  return lines
}
