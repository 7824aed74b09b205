/** CPU, load and memory. */
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Collector } from '../collector.ts'
import type { Sample } from '../value.ts'

/** Jiffies since the boot. */
export interface CpuTimes {
  readonly idle: number
  readonly iowait: number
  readonly steal: number
  readonly all: number
}

export function load(): Collector {
  let before: CpuTimes | undefined
  return {
    name: 'CPU and memory',
    every: 60,
    async collect() {
      const [stat, average, memory] = await Promise.all([readFile('/proc/stat', 'utf8'), readFile('/proc/loadavg', 'utf8'), readFile('/proc/meminfo', 'utf8')])
      const times = parseCpu(stat)
      const used = before === undefined ? [] : cpuSamples(before, times)
      before = times
      return [...used, ...loadSamples(average, availableParallelism()), ...memorySamples(memory)]
    },
  }
}

/** proc(5): user nice system idle iowait irq softirq steal; guests are in user already. */
export function parseCpu(stat: string): CpuTimes {
  const fields = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number).slice(0, 8)
  const [, , , idle = 0, iowait = 0, , , steal = 0] = fields
  return { idle, iowait, steal, all: fields.reduce((sum, value) => sum + value, 0) }
}

export function cpuSamples(before: CpuTimes, after: CpuTimes): readonly Sample[] {
  const all = after.all - before.all
  if (all <= 0) return []
  const share = (part: number): number => Math.min(100, Math.max(0, (part / all) * 100))
  return [
    { key: 'hive.cpu.util', value: share(all - (after.idle - before.idle) - (after.iowait - before.iowait)) },
    { key: 'hive.cpu.iowait', value: share(after.iowait - before.iowait) },
    { key: 'hive.cpu.steal', value: share(after.steal - before.steal) },
  ]
}

export function loadSamples(loadavg: string, cores: number): readonly Sample[] {
  const [one = 0, five = 0, fifteen = 0] = loadavg.split(' ').map(Number)
  return [
    { key: 'hive.cpu.count', value: cores },
    { key: 'hive.load1', value: one },
    { key: 'hive.load5', value: five },
    { key: 'hive.load15', value: fifteen },
    { key: 'hive.load1.percore', value: one / cores },
  ]
}

export function memorySamples(meminfo: string): readonly Sample[] {
  const bytes = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0) * 1024
  const [total, available, swap, swapFree] = [bytes('MemTotal'), bytes('MemAvailable'), bytes('SwapTotal'), bytes('SwapFree')]
  return [
    { key: 'hive.memory.total', value: total },
    { key: 'hive.memory.available', value: available },
    { key: 'hive.memory.util', value: total === 0 ? 0 : ((total - available) / total) * 100 },
    { key: 'hive.swap.total', value: swap },
    { key: 'hive.swap.pfree', value: swap === 0 ? 100 : (swapFree / swap) * 100 },
  ]
}
