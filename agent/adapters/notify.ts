/**
 * Tells systemd how the agent is. systemd listens on a Unix datagram socket, which Node.js cannot open, so its own tool systemd-notify
 * does it (the unit has NotifyAccess=all).
 */
import { run } from './command.ts'

export interface Notifier {
  ready(): void
  /** Resolves when no child of it runs any more: one that outlives the agent is killed, and some systemds miss its end and wait for it. */
  stopping(): Promise<void>
}

/** Old versions of systemd lose a message whose sender has ended before they look at it; saying it again costs nothing. */
const repeats = [0, 1000, 4000]

/** Takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment, so that no child of a run speaks for the agent. */
export function systemdNotifier(environment: NodeJS.ProcessEnv): Notifier {
  const socket = environment['NOTIFY_SOCKET']
  const watchdog = Number(environment['WATCHDOG_USEC'] ?? 0) / 1000
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
  if (socket === undefined) return { ready: () => undefined, stopping: () => Promise.resolve() }
  const timers: NodeJS.Timeout[] = []
  const told = new Set<Promise<unknown>>()
  const tell = (message: string): void => {
    // Systemd itself finds out when this fails: the unit's start times out.
    const child = run(['systemd-notify', message], { readOnly: true, timeout: 10_000, env: { NOTIFY_SOCKET: socket } }).catch(() => undefined)
    told.add(child)
    void child.finally(() => told.delete(child))
  }
  return {
    ready: () => {
      for (const delay of repeats) timers.push(setTimeout(() => tell('READY=1'), delay).unref())
      if (watchdog > 0) timers.push(setInterval(() => tell('WATCHDOG=1'), watchdog / 3).unref())
    },
    stopping: async () => {
      for (const timer of timers) clearTimeout(timer)
      tell('STOPPING=1')
      await Promise.all(told)
    },
  }
}
