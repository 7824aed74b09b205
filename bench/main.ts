/** `npm run bench`: how fast a site of small services is deployed, beside Ansible on the same hosts. Takes its hosts away again. */
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { ec2Obstacle } from '../test/ec2/obstacle.ts'
import { labObstacle } from '../test/lab/obstacle.ts'
import { measureAws, renderAws } from './aws-plan.ts'
import type { SiteSize } from './content.ts'
import { measureFailover, renderFailover } from './failover.ts'
import { type AgentFigures, measureAgents } from './measure-agents.ts'
import { type AnsibleFigures, measureAnsible } from './measure-ansible.ts'
import { measureOurs } from './measure-ours.ts'
import { measureVolumes, renderVolumes } from './mirrored-volumes.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { type Figures, inShort, type Measurement, machineLine, machineNow, render } from './report.ts'
import { measureReporting, renderReporting } from './reporting.ts'
import { BenchStage } from './stage.ts'

const compared: SiteSize = { services: 50, hosts: 3 }

const say = (text: string): void => void process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)

async function measure(options: Options): Promise<Figures> {
  const machine = machineNow(loadavg()[0] ?? 0)
  const measurements: Measurement[] = []
  const agents: Figures['agents'][number][] = []
  for (const hosts of options.hosts) {
    // Where this process is told to end, its site takes the hosts away.
    const stage = new BenchStage(hosts)
    try {
      const done = await measureOn(stage, hosts, options)
      measurements.push(...done.measurements)
      agents.push({ hosts, ...done.agents })
    } finally {
      say('destroying the hosts')
      await stage.destroy()
    }
  }
  return { machine, measurements, agents }
}

async function measureOn(stage: BenchStage, hosts: number, options: Options): Promise<{ measurements: readonly Measurement[]; agents: AgentFigures }> {
  say(`making ${hosts} hive hosts and a repository server`)
  await stage.make()
  const measurements: Measurement[] = []
  for (const services of options.services) {
    const both = options.ansible && isCompared({ services, hosts }, options)
    say(`${services} services on ${hosts} hosts`)
    const ours = await measureOurs(stage, services)
    say(inShort(ours))
    await stage.empty({ images: !both })
    let ansible: AnsibleFigures | undefined
    if (both) {
      say('the same with Ansible')
      ansible = await measureAnsible(stage, services)
      await stage.empty({ images: true })
    }
    measurements.push({ services, hosts, ours, ansible })
  }
  say('agents at rest')
  return { measurements, agents: await measureAgents(stage) }
}

/** Ansible takes minutes, so it is measured at one size: the usual one, or the first where that is not asked for. */
const isCompared = (size: SiteSize, { services, hosts }: Options): boolean =>
  size.services === (services.includes(compared.services) ? compared.services : services[0]) &&
  size.hosts === (hosts.includes(compared.hosts) ? compared.hosts : hosts[0])

/** What was asked for: the figures, and the same for people. */
async function measured(options: Options): Promise<{ readonly figures: object; readonly text: string }> {
  if (options.aws) {
    const figures = await measureAws()
    return { figures, text: renderAws(figures) }
  }
  if (options.volumes) {
    const figures = { machine: machineNow(loadavg()[0] ?? 0), ...(await measureVolumes(say)) }
    return { figures, text: `${machineLine(figures.machine)}\n\n${renderVolumes(figures)}` }
  }
  if (options.failover) {
    const figures = { machine: machineNow(loadavg()[0] ?? 0), runs: await measureFailover(say) }
    return { figures, text: `${machineLine(figures.machine)}\n\n${renderFailover(figures.runs)}` }
  }
  if (options.reporting) {
    const figures = { machine: machineNow(loadavg()[0] ?? 0), ...(await measureReporting(say)) }
    return { figures, text: `${machineLine(figures.machine)}\n\n${renderReporting(figures)}` }
  }
  const figures = await measure(options)
  return { figures, text: render(figures) }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const obstacle = options.aws ? ec2Obstacle() : labObstacle()
  if (obstacle !== undefined) {
    process.stderr.write(`${options.aws ? '' : 'the bench makes hosts on this machine: '}${obstacle}\n`)
    return 1
  }
  const { figures, text } = await measured(options)
  process.stdout.write(text)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
