/**
 * The nspawn process of a host: started so that it outlives us, found again by its record or its command line, ended
 * orderly or at once.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError } from '../../../proto/errors.ts'
import { readTextIfPresent, writeFileAtomic } from '../../run/atomic-file.ts'
import { startTimeOf } from '../../run/process-identity.ts'
import { run } from '../command.ts'
import { ownGroups, removeGroups } from './cgroups.ts'
import { listens } from './network.ts'
import type { HostFolder, StageFolder } from './stage-folder.ts'

/** SIGRTMIN+4: systemd's "power off, orderly". */
const powerOffSignal = 38

const machineFlag = (host: HostFolder): string => `--machine=${host.machine}`
const processRecord = (host: HostFolder): string => join(host.folder, 'process.json')

const commandLine = (pid: number | string): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

const isMachine = (pid: number | string, host: HostFolder): boolean => {
  const argv = commandLine(pid)
  return argv[0]?.endsWith('systemd-nspawn') === true && argv.includes(machineFlag(host))
}

/** The pid of the host's nspawn process; undefined where the host is off. */
export function findMachine(host: HostFolder): number | undefined {
  const text = readTextIfPresent(processRecord(host))
  if (text !== undefined) {
    const { pid, startTime } = JSON.parse(text) as { pid: number; startTime: string }
    if (startTimeOf(pid) === startTime && isMachine(pid, host)) return pid
  }
  // Whoever started it may have been killed before it could write the record.
  // What it forks while it starts has its command line, and may have a lower pid.
  const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isMachine(name, host))
  const first = found.find((name) => {
    const parent = parentOf(name)
    return parent !== undefined && !found.includes(parent)
  })
  return first === undefined ? undefined : Number(first)
}

/** undefined where the process has ended. */
const parentOf = (pid: string): string | undefined => {
  try {
    return /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** The host's process 1, a child of the nspawn process; undefined before it exists and after it ended. */
export function findLeader(nspawnPid: number): number | undefined {
  let children: string
  try {
    children = readFileSync(`/proc/${nspawnPid}/task/${nspawnPid}/children`, 'utf8')
  } catch {
    return undefined
  }
  for (const child of children
    .trim()
    .split(' ')
    .filter((pid) => pid !== '')) {
    try {
      // Two numbers: its pid out here, and 1 inside.
      if (/^NSpid:\s+\d+\s+1$/m.test(readFileSync(`/proc/${child}/status`, 'utf8'))) return Number(child)
    } catch {
      // it ended meanwhile
    }
  }
  return undefined
}

/** The leader of a running host; undefined where it is off. */
export function leaderOf(host: HostFolder): number | undefined {
  const pid = findMachine(host)
  return pid === undefined ? undefined : findLeader(pid)
}

/** With --keep-unit nspawn ends with this where the host restarts itself, for whoever started it to do so again. */
const restartCode = 133

/**
 * Runs the command again as long as the host restarts itself. Arguments: the record of the process, without which the host is meant to be off; what
 * a machine leaves behind; the command.
 */
const restartScript = `record=$1 left=$2
shift 2
while :; do
  "$@"
  code=$?
  if [ $code != ${restartCode} ] || [ ! -e "$record" ]; then exit $code; fi
  rm -rf -- "$left"
done`

const propagateFolder = (host: HostFolder): string => join('/run/systemd/nspawn/propagate', host.machine)

const underSystemd = (): boolean => existsSync('/run/systemd/system')
const unified = (): boolean => existsSync('/sys/fs/cgroup/cgroup.controllers')

function nspawnArguments(stage: StageFolder, host: HostFolder, binds: readonly string[]): readonly string[] {
  return [
    `--directory=${host.root}`,
    '--boot',
    '--quiet',
    '--register=no',
    '--keep-unit',
    `--network-namespace-path=/run/netns/${host.namespace}`,
    '--capability=all',
    '--system-call-filter=add_key keyctl bpf',
    machineFlag(host),
    `--hostname=${host.shortName}`,
    '--console=pipe',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    `--bind=${host.docker}:/var/lib/docker`,
    `--bind=${stage.mirrored}:/var/lib/hive/mirrored`,
    ...binds.map((bind) => `--bind=${bind}`),
  ]
}

/** Starts the host's machine; its root is mounted and its namespace there. Returns once the process exists. `binds`: SOURCE:TARGET. */
export async function startMachine(stage: StageFolder, host: HostFolder, signal: AbortSignal, binds: readonly string[] = []): Promise<void> {
  // A machine that was killed leaves this behind, and a start over it is refused.
  rmSync(propagateFolder(host), { recursive: true, force: true })
  mkdirSync(stage.mirrored, { recursive: true, mode: 0o755 })
  const environment = { SYSTEMD_NSPAWN_API_VFS_WRITABLE: '1', SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: unified() ? '1' : '0' }
  const command = ['systemd-nspawn', ...nspawnArguments(stage, host, binds)]
  if (underSystemd()) {
    // A unit of its own: it survives the log-out of whoever started it, and owns a delegated group.
    const set = Object.entries(environment).map(([key, value]) => `--setenv=${key}=${value}`)
    const log = [`--property=StandardOutput=append:${host.consoleLog}`, '--property=StandardError=inherit']
    const unit = [
      `--unit=hive-nspawn-${host.machine}`,
      '--collect',
      '--quiet',
      '--property=Delegate=yes',
      '--property=KillMode=mixed',
      '--property=TasksMax=infinity',
      `--property=RestartForceExitStatus=${restartCode}`,
      `--property=SuccessExitStatus=${restartCode}`,
    ]
    await run(['systemd-run', ...unit, ...log, ...set, ...command], { signal })
  } else {
    const log = openSync(host.consoleLog, 'a')
    try {
      const [file, ...args] = ['sh', '-c', restartScript, 'hive-host', processRecord(host), propagateFolder(host), ...ownGroups(host.machine, command)] as const
      const child = spawn(file, args, { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...environment }, cwd: '/' })
      child.on('error', () => undefined)
      child.unref()
    } finally {
      closeSync(log)
    }
  }
  const pid = await until(() => findMachine(host), 10_000, signal)
  if (pid === undefined) throw failed(host, 'did not start')
  writeFileAtomic(processRecord(host), `${JSON.stringify({ pid, startTime: startTimeOf(pid) })}\n`)
}

/** The first of the ports that something listens on inside a running host; undefined where it is off or there is none. */
export function listeningPort(host: HostFolder, ports: readonly number[]): number | undefined {
  const leader = leaderOf(host)
  if (leader === undefined) return undefined
  const tables = ['tcp', 'tcp6'].map((name) => readTable(`/proc/${leader}/net/${name}`))
  return ports.find((port) => listens(tables, port))
}

const readTable = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Waits until sshd listens inside. Throws HiveError 'not-converged' with the end of the console. */
export async function waitForSsh(host: HostFolder, ports: readonly number[], deadline: number, signal: AbortSignal): Promise<void> {
  const ask = (): 'ended' | 'listens' | undefined => {
    if (findMachine(host) === undefined) return 'ended'
    return listeningPort(host, ports) === undefined ? undefined : 'listens'
  }
  const answer = await until(ask, deadline, signal)
  if (answer === 'ended') throw failed(host, 'ended while it started')
  if (answer === undefined) throw failed(host, `has no sshd on port ${[...new Set(ports)].join(' or ')} after ${deadline / 1000} s`)
}

const failed = (host: HostFolder, what: string): HiveError =>
  new HiveError('not-converged', `host ${host.shortName} ${what}`, {
    host: host.shortName,
    hint: `its console is ${host.consoleLog}`,
    log: (readTextIfPresent(host.consoleLog) ?? '').trimEnd().split('\n').slice(-10),
  })

/** Orderly, as by a power button; killed when it has not ended by the deadline (milliseconds). */
export async function shutDown(host: HostFolder, deadline: number, signal: AbortSignal): Promise<void> {
  const leader = leaderOf(host)
  if (leader !== undefined) {
    sendSignal(leader, powerOffSignal)
    await until(() => findMachine(host) === undefined || undefined, deadline, signal)
  }
  await killMachine(host)
}

/** At once, as by a power cut. Nothing where the host is off. */
export async function killMachine(host: HostFolder): Promise<void> {
  const pid = findMachine(host)
  if (pid !== undefined) {
    const leader = findLeader(pid)
    if (leader !== undefined) sendSignal(leader, 'SIGKILL')
    const never = new AbortController().signal
    const ended = await until(() => !isMachine(pid, host) || undefined, leader === undefined ? 200 : 10_000, never)
    if (ended === undefined) sendSignal(pid, 'SIGKILL')
    if ((await until(() => !isMachine(pid, host) || undefined, 10_000, never)) === undefined)
      throw new HiveError('timeout', `host ${host.shortName}: process ${pid} does not end`, {
        host: host.shortName,
        hint: 'look at its state in /proc; a process in state D waits for a disk',
      })
  }
  rmSync(processRecord(host), { force: true })
  rmSync(propagateFolder(host), { recursive: true, force: true })
  if (!underSystemd()) await removeGroups(host.machine)
}

function sendSignal(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended by itself
  }
}

/** Asks every 50 ms until there is an answer; undefined after the deadline (milliseconds). */
async function until<T>(ask: () => T | undefined, deadline: number, signal: AbortSignal): Promise<T | undefined> {
  const end = performance.now() + deadline
  for (;;) {
    const answer = ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) return undefined
    if (signal.aborted) throw new HiveError('cancelled', 'stopped')
    await wait(50)
  }
}
