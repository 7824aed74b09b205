/** What the host is and since when, and how many processes it has. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { parseStat } from '../../../adapters/hung-processes.ts'
import type { Collector } from '../collector.ts'

export const system: Collector = {
  name: 'the system',
  every: 60,
  async collect() {
    const [uptime, first, stat, limit, processes] = await Promise.all([
      readFile('/proc/uptime', 'utf8'),
      readFile('/proc/1/stat', 'utf8'),
      readFile('/proc/stat', 'utf8'),
      readFile('/proc/sys/kernel/pid_max', 'utf8'),
      readdir('/proc'),
    ])
    const count = processes.filter((name) => /^\d+$/.test(name)).length
    return [
      { key: 'hive.host.uptime', value: secondsUp(uptime, first) },
      { key: 'hive.host.name', value: hostname() },
      { key: 'hive.host.kernel', value: release() },
      { key: 'hive.processes.count', value: count },
      { key: 'hive.processes.running', value: Number(/^procs_running (\d+)$/m.exec(stat)?.[1] ?? 0) },
      { key: 'hive.processes.util', value: (count / Number(limit)) * 100 },
    ]
  },
}

export const systemFiles: Collector = {
  name: "the system's files",
  every: 900,
  async collect() {
    const [passwd, os] = await Promise.all([readFile('/etc/passwd'), readFile('/etc/os-release', 'utf8').catch(() => '')])
    return [
      { key: 'hive.host.passwd', value: createHash('sha256').update(passwd).digest('hex') },
      { key: 'hive.host.os', value: osName(os) },
    ]
  },
}

/** Since its first process began: the same as since the boot on a machine, and right in a container, too. */
export const secondsUp = (uptime: string, firstStat: string): number =>
  Math.max(0, Math.round(Number(uptime.split(' ')[0]) - (parseStat(firstStat)?.started ?? 0)))

export const osName = (release: string): string => (/^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? '').trim()
