/** The figures, as tables for people. */
import { cpus, totalmem } from 'node:os'
import Table from 'cli-table3'
import type { SiteSize } from './content.ts'
import type { AgentFigures } from './measure-agents.ts'
import type { AnsibleFigures } from './measure-ansible.ts'
import type { OurFigures } from './measure-ours.ts'

export interface Measurement extends SiteSize {
  readonly ours: OurFigures
  readonly ansible: AnsibleFigures | undefined
}

export interface Figures {
  readonly machine: { readonly cores: number; readonly model: string; readonly gigabytes: number; readonly load: number }
  readonly measurements: readonly Measurement[]
  readonly agents: readonly (AgentFigures & { readonly hosts: number })[]
}

export const machineNow = (load: number): Figures['machine'] => ({
  cores: cpus().length,
  model: cpus()[0]?.model ?? 'unknown',
  gigabytes: Math.round(totalmem() / 2 ** 30),
  load,
})

/** Milliseconds, for 50 services on 3 hosts and for an agent's start; kilobytes for an agent. */
const goals = { first: 15_000, unchanged: 1_500, changed: 3_000, kilobytes: 90_000, listening: 500 }

export const machineLine = ({ cores, model, gigabytes, load }: Figures['machine']): string =>
  `${cores} cores (${model}), ${gigabytes} GB, load ${load.toFixed(1)} before the start`

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`
const megabytes = (kilobytes: number): string => `${Math.round(kilobytes / 1000)} MB`
export const verdict = (what: string, value: number, goal: number, text: (value: number) => string): string =>
  `${value < goal ? 'met   ' : 'missed'}  ${what}: ${text(value)}, the goal is under ${text(goal)}`

/** Of our own figures at one size, in one line. */
export const inShort = ({ first, converged, unchanged, changed }: OurFigures): string =>
  `first ${seconds(first)}, then converged ${seconds(converged)}, unchanged ${seconds(unchanged)}, one changed ${seconds(changed)}`

export function render({ machine, measurements, agents }: Figures): string {
  const parts = [machineLine(machine)]
  const sizes = new Table({
    head: ['services', 'hosts', 'first, created', 'then converged', 'unchanged', 'one changed', 'then converged', 'Plan calls'],
    style: { head: [], border: [] },
    colAligns: ['right', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  })
  for (const { services, hosts, ours } of measurements)
    sizes.push([
      services,
      `${hosts} + 1`,
      seconds(ours.first),
      seconds(ours.converged),
      seconds(ours.unchanged),
      seconds(ours.changed),
      seconds(ours.changedConverged),
      ours.planCalls,
    ])
  parts.push(sizes.toString())
  for (const { services, hosts, ours, ansible } of measurements) if (ansible !== undefined) parts.push(comparison(services, hosts, ours, ansible))
  const atRest = new Table({ head: ['agents on', 'fresh', 'after the work', 'listening after', 'at worst'], style: { head: [], border: [] } })
  for (const { hosts, freshKilobytes, workedKilobytes, listening, listeningWorst } of agents)
    atRest.push([`${hosts} + 1 hosts`, megabytes(freshKilobytes), megabytes(workedKilobytes), `${listening} ms`, `${listeningWorst} ms`])
  parts.push(atRest.toString(), verdicts(measurements, agents).join('\n'))
  return `${parts.join('\n\n')}\n`
}

function comparison(services: number, hosts: number, ours: OurFigures, ansible: AnsibleFigures): string {
  const table = new Table({
    head: [`${services} services, ${hosts} + 1 hosts`, 'hivecoord', `Ansible ${ansible.version}`, 'ratio'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right'],
  })
  const rows = [
    ['first, created', ours.first, ansible.first],
    ['unchanged', ours.unchanged, ansible.unchanged],
    ['one changed', ours.changed, ansible.changed],
  ] as const
  for (const [what, own, other] of rows) table.push([what, seconds(own), seconds(other), `1 : ${(other / own).toFixed(1)}`])
  return table.toString()
}

function verdicts(measurements: readonly Measurement[], agents: Figures['agents']): readonly string[] {
  const measured = measurements.find(({ services, hosts }) => services === 50 && hosts === 3)?.ours
  const kilobytes = Math.max(...agents.map(({ freshKilobytes, workedKilobytes }) => Math.max(freshKilobytes, workedKilobytes)))
  const listening = Math.max(...agents.map((agent) => agent.listening))
  const lines = [
    verdict('memory of an agent at rest', kilobytes, goals.kilobytes, megabytes),
    verdict('an agent listens after its start', listening, goals.listening, (value) => `${value} ms`),
  ]
  if (measured === undefined) return lines
  const { first, unchanged, changed } = measured
  return [
    verdict('50 services on 3 hosts, first, created', first, goals.first, seconds),
    verdict('50 services on 3 hosts, unchanged', unchanged, goals.unchanged, seconds),
    verdict('50 services on 3 hosts, one changed', changed, goals.changed, seconds),
    ...lines,
  ]
}
