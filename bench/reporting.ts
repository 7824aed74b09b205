/**
 * `npm run bench -- --reporting`: what it takes an agent to report every 60 seconds, on hosts with 50 services. A process takes the values
 * as Zabbix would. The processor time of an agent that reports to nobody is measured first, over the same time.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import Table from 'cli-table3'
import { contentOf } from './content.ts'
import { verdict } from './report.ts'
import { writeServices } from './site.ts'
import { BenchStage } from './stage.ts'

const services = 50
const hosts = 3
const port = 10051
/** Of encryption, as every site has it. */
const key = '0123456789abcdef'.repeat(4)
/** Milliseconds that are measured, a whole number of minutes; and until everything that follows a start is over. */
const measured = 300_000
const settling = 90_000
/** Clock ticks of /proc, each second. */
const ticks = 100
/** Per cent of one core. */
const goal = 1

/** Per cent of one core, by host. */
export interface ReportingFigures {
  readonly services: number
  readonly hosts: readonly HostFigures[]
  /** Of all hosts, in the time that was measured and before. */
  readonly values: number
  readonly requests: number
}

interface HostFigures {
  readonly host: string
  readonly agent: Usage
  /** dockerd, which answers the agent. */
  readonly docker: Usage
}

interface Usage {
  readonly silent: number
  readonly reporting: number
}

export async function measureReporting(say: (text: string) => void): Promise<ReportingFigures> {
  say(`making ${hosts} hive hosts and a repository server`)
  const stage = new BenchStage(hosts)
  let sink: ChildProcess | undefined
  try {
    writeServices(stage.site.folder, contentOf(services))
    await stage.command('deploy')
    const all = [...stage.hives, stage.repository]
    say(`agents that report to nobody: ${(measured + settling) / 1000} s`)
    const silent = await usageOf(stage, all)
    const gateway = (await stage.site.onHost(stage.manager, 'ip -4 route show default')).split(' ')[2] ?? ''
    sink = await startSink(stage)
    const variables = join(stage.site.folder, 'inventory/group_vars/all.yml')
    mkdirSync(dirname(variables), { recursive: true })
    writeFileSync(variables, `hive_zabbix_server: ${gateway}:${port}\nhive_zabbix_psk: ${key}\n`)
    await stage.command('deploy', '--only', 'setup-hosts')
    say(`agents that report: ${(measured + settling) / 1000} s`)
    const reporting = await usageOf(stage, all)
    const { values, requests } = await endOf(sink)
    sink = undefined
    const figures = all.map((host, index): HostFigures => {
      const of = (what: 'agent' | 'docker'): Usage => ({ silent: silent[index]?.[what] ?? Number.NaN, reporting: reporting[index]?.[what] ?? Number.NaN })
      return { host, agent: of('agent'), docker: of('docker') }
    })
    return { services, hosts: figures, values, requests }
  } finally {
    sink?.kill('SIGKILL')
    say('destroying the hosts')
    await stage.destroy()
  }
}

/** Of an agent with the programs that it started, and of dockerd. */
async function usageOf(stage: BenchStage, all: readonly string[]): Promise<readonly { readonly agent: number; readonly docker: number }[]> {
  const spent = (host: string): Promise<readonly number[]> => {
    const of = (unit: string): string => `awk '{ sub(/.*\\) /, ""); print $12 + $13 + $14 + $15 }' /proc/$(systemctl show -p MainPID --value ${unit})/stat`
    return stage.site.onHost(host, `${of('hive-agent')}; ${of('docker')}`).then((text) => text.trim().split('\n').map(Number))
  }
  await pause(settling)
  const begun = performance.now()
  const before = await Promise.all(all.map(spent))
  await pause(measured)
  const after = await Promise.all(all.map(spent))
  const seconds = (performance.now() - begun) / 1000
  const percent = (index: number, which: number): number => (((after[index]?.[which] ?? 0) - (before[index]?.[which] ?? 0)) / ticks / seconds) * 100
  return all.map((_, index) => ({ agent: percent(index, 0), docker: percent(index, 1) }))
}

/** In the stage's network, at its gateway. */
async function startSink(stage: BenchStage): Promise<ChildProcess> {
  const namespace = readFileSync(join(stage.site.contextDir, 'netns'), 'utf8').trim()
  const program = new URL('zabbix-sink.ts', import.meta.url).pathname
  const sink = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', process.execPath, program, String(port), key], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (sink.stdout === null) throw new Error('a process without output')
  await once(createInterface(sink.stdout), 'line')
  return sink
}

async function endOf(sink: ChildProcess): Promise<{ readonly values: number; readonly requests: number }> {
  let said = ''
  sink.stdout?.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = once(sink, 'close')
  sink.kill('SIGTERM')
  await ended
  return JSON.parse(said) as { values: number; requests: number }
}

export function renderReporting({ services: count, hosts: all, values, requests }: ReportingFigures): string {
  const table = new Table({
    head: ['per cent of a core', 'agent, silent', 'agent, reporting', 'reporting alone', 'dockerd, silent', 'dockerd, reporting'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  })
  const shown = (value: number): string => `${value.toFixed(2)} %`
  for (const { host, agent, docker } of all)
    table.push([host, shown(agent.silent), shown(agent.reporting), shown(agent.reporting - agent.silent), shown(docker.silent), shown(docker.reporting)])
  const worst = Math.max(...all.map(({ agent }) => agent.reporting - agent.silent))
  return [
    `${count} services on ${hosts} hosts and a repository server, every 60 s: ${values} values in ${requests} requests`,
    table.toString(),
    verdict('reporting every 60 s', worst, goal, shown),
    '',
  ].join('\n\n')
}
