/** A service as a child process that never outlives the test, however that ends. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** Of the user without rights; a server that refuses root runs as that one where the tests are root. */
export const nobody = { uid: 65534, gid: 65534 } as const

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Root's tests may run it as someone else. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  readonly cwd?: string
  /** What it writes goes into this file. */
  readonly log: string
  /** What it ends at, with all it started. Default SIGTERM; killed five seconds after. */
  readonly endsAt?: NodeJS.Signals
}

export interface Child {
  readonly pid: number
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  /** Throws with its last output where it has ended. */
  readonly assertAlive: () => void
  readonly stop: () => Promise<void>
}

/** Waits for the end of its input, which is the end of the test's process, and ends the group. */
const guardian = `cat >/dev/null; kill -s "$1" -- "-$2" 2>/dev/null; i=0
while kill -s 0 -- "-$2" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
kill -s KILL -- "-$2" 2>/dev/null; exit 0`

export function startChild(argv: readonly [string, ...string[]], { env = {}, user, cwd, log, endsAt = 'SIGTERM' }: ChildOptions): Child {
  const file = openSync(log, 'a', 0o666)
  const child = spawn(argv[0], argv.slice(1), {
    detached: true,
    stdio: ['ignore', file, file],
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LC_ALL: 'C.UTF-8', ...env },
    ...(process.getuid?.() === 0 && user !== undefined ? user : {}),
    ...(cwd === undefined ? {} : { cwd }),
  })
  closeSync(file)
  const { pid } = child
  if (pid === undefined) throw new Error(`${argv[0]} can't be run`)
  let over = false
  const ended = new Promise<void>((resolve) =>
    child.once('exit', () => {
      over = true
      resolve()
    }),
  )
  const guard = spawn('sh', ['-c', guardian, 'sh', endsAt.replace(/^SIG/, ''), String(pid)], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  const guardEnded = new Promise<void>((resolve) => guard.once('exit', () => resolve()))
  // A test that forgets to stop it must still be able to end.
  child.unref()
  guard.unref()
  if ('unref' in guard.stdin && typeof guard.stdin.unref === 'function') guard.stdin.unref()
  return {
    pid,
    ended,
    assertAlive: () => {
      if (over) throw new Error(`${argv[0]} has ended: ${readFileSync(log, 'utf8').slice(-2000)}`)
    },
    stop: async () => {
      guard.ref()
      child.ref()
      guard.stdin.end()
      await guardEnded
      await ended
    },
  }
}
