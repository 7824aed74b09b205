/** `hivecoord status`: hosts, swarm and services on one screen. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { listRuns } from '../../coordinator/run/journal.ts'
import type { HostStatus } from '../../coordinator/run/status.ts'
import type { App } from '../app.ts'
import { columns, shortHost } from '../render/format.ts'
import { givenUpWords, holdWords } from './hold.ts'

export function registerStatus(program: Command, app: () => App): void {
  program
    .command('status')
    .description('show hosts, swarm, services and the last run')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const { site } = stage
      const status = await stage.status(signal)
      const [lastRun] = listRuns(site.contextDir, 1)
      const hosts = status.hosts.map(({ name, address, power, agent, error, node }) => [
        name,
        address,
        power,
        node === undefined ? '' : `${node.role}${node.leader ? ' (leader)' : ''} ${node.state} ${node.availability}`,
        agent === undefined ? pc.red(`agent: ${error?.message ?? 'no answer'}`) : `agent ${agent.version}`,
      ])
      const known = new Map(status.services?.map((service) => [service.name, service]))
      const services = site.services.map(({ name }) => {
        const service = known.get(name)
        if (service === undefined) return [name, status.services === undefined ? 'unknown' : 'not deployed', '']
        const replicas = `${service.running}/${service.desired}`
        return [name, service.running < service.desired ? pc.red(replicas) : replicas, service.image]
      })
      const text = [
        pc.bold(`${site.name}, stage ${site.stage}`),
        columns(hosts),
        ...status.hosts.flatMap(supervised),
        ...(services.length === 0 ? [] : ['', columns(services)]),
        ...(status.lock === undefined
          ? []
          : ['', `locked by ${status.lock.owner} for ${status.lock.purpose} since ${status.lock.since?.toISOString() ?? '?'}`]),
        ...(lastRun === undefined
          ? []
          : ['', `last run ${lastRun.runId}: ${lastRun.command}, ${lastRun.finished === undefined ? 'not finished' : lastRun.ok === true ? 'ok' : 'failed'}`]),
        ...status.notices.map((notice) => pc.yellow(notice)),
      ]
      renderer.result({ name: site.name, stage: site.stage, ...status, lastRun }, text.join('\n'))
    })
}

/** Only what is not as usual. */
const supervised = ({ name, supervisor }: HostStatus): readonly string[] => [
  ...(supervisor?.hold === undefined ? [] : [pc.yellow(`the supervisor of ${shortHost(name)} is ${holdWords(supervisor.hold)}`)]),
  ...(supervisor?.givenUp ?? []).map((one) => pc.red(`the supervisor of ${shortHost(name)} ${givenUpWords(one)}`)),
]
