/** `hivecoord node …`: typed operations on one host, for repair by hand. The same executors as a deploy. */
import type { Command } from 'commander'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { App } from '../app.ts'
import { columns } from '../render/format.ts'
import { findHost } from './find-host.ts'
import { registerAvailability } from './node-availability.ts'
import { positive } from './numbers.ts'

interface Asked {
  readonly client: AgentClient
  readonly signal: AbortSignal
  readonly json: boolean
  result(data: unknown, text: string): void
}

export function registerNode(program: Command, app: () => App): void {
  const node = program.command('node').description('look at and repair one host directly through its agent')
  const on = async (name: string, work: (asked: Asked) => Promise<void>): Promise<void> => {
    const { open, signal, renderer, options } = app()
    const stage = await open()
    const client = await answering(stage.agents, findHost(stage.site, name).name, signal)
    await work({ client, signal, json: options.output === 'json', result: (data, text) => renderer.result(data, text) })
  }
  const command = (
    name: string,
    description: string,
    work: (asked: Asked, args: readonly string[], options: Record<string, unknown>) => Promise<void>,
    args: readonly string[] = [],
  ) => {
    const made = node.command(name).description(description).argument('<host>')
    for (const arg of args) made.argument(arg)
    made.action(async (...given: unknown[]) => {
      const values = given.slice(0, args.length + 1).map(String)
      await on(values[0] ?? '', (asked) => work(asked, values.slice(1), made.opts()))
    })
    return made
  }

  command('info', 'versions, kernel, uptime, certificate', async ({ client, signal, result }) => {
    const info = await client.hostService.info({}, { signal })
    result(info, columns(Object.entries(info).map(([key, value]) => [key, value instanceof Date ? value.toISOString() : String(value)])))
  })
  command('hardware', 'what the host is made of', async ({ client, signal, result }) => {
    const { json } = await client.hostService.inventory({}, { signal })
    const hardware: unknown = JSON.parse(json)
    result(hardware, JSON.stringify(hardware, undefined, 2))
  })
  command('units', 'systemd units', async ({ client, signal, result }, _args, options) => {
    const { units } = await client.hostService.listUnits({ failedOnly: options['failed'] === true }, { signal })
    result(units, columns(units.map((u) => [u.name, u.active, u.sub, u.description])))
  }).option('--failed', 'only failed ones')
  command(
    'unit',
    'start, stop, restart, reload or reset-failed a unit',
    async ({ client, signal, result }, [action, name]) => {
      const { unit } = await client.hostService.controlUnit({ action: action ?? '', name: name ?? '' }, { signal })
      result(unit, `${unit?.name} ${unit?.active} ${unit?.sub}`)
    },
    ['<action>', '<unit>'],
  )
  command('journal', "the host's log", async ({ client, signal, json }, _args, options) => {
    const request = { unit: String(options['unit'] ?? ''), lines: Number(options['lines']), follow: options['follow'] === true, since: undefined }
    for await (const line of client.hostService.readLog(request, { signal }))
      process.stdout.write(json ? `${JSON.stringify(line)}\n` : `${line.at?.toISOString() ?? ''} ${line.source} ${line.line}\n`)
  })
    .option('-u, --unit <unit>', 'of one unit')
    .option('-n, --lines <n>', 'how many lines', positive, 100)
    .option('-f, --follow', 'go on as more comes')
  command('swarm', 'swarm membership as this host sees it', async ({ client, signal, result }) => {
    const info = await client.swarm.info({}, { signal })
    const { nodes } = info.manager ? await client.swarm.listNodes({}, { signal }) : { nodes: [] }
    const rows = nodes.map((n) => [n.name, n.role, n.availability, n.state, n.leader ? 'leader' : n.reachability])
    result({ ...info, nodes }, `${info.state}${info.error === '' ? '' : `: ${info.error}`}${rows.length === 0 ? '' : `\n${columns(rows)}`}`)
  })
  command('networks', 'docker networks', async ({ client, signal, result }) => {
    const { networks } = await client.network.list({}, { signal })
    result(networks, columns(networks.map((n) => [n.name, n.driver, n.scope, n.ipam.map((i) => i.subnet).join(' ')])))
  })
  command('volumes', 'docker volumes', async ({ client, signal, result }) => {
    const { volumes } = await client.volume.list({}, { signal })
    result(
      volumes,
      columns(
        volumes.map((v) => [
          v.name,
          v.driver,
          Object.entries(v.options)
            .map(([k, x]) => `${k}=${x}`)
            .join(' '),
        ]),
      ),
    )
  })
  command('images', 'docker images', async ({ client, signal, result }) => {
    const { images } = await client.image.list({}, { signal })
    result(images, columns(images.map((i) => [i.tags.join(' '), i.id.slice(7, 19), `${Math.round(Number(i.size) / 1e6)} MB`])))
  })
  command('containers', 'containers, running or not', async ({ client, signal, result }) => {
    const { containers } = await client.container.list({ all: true, service: '' }, { signal })
    result(containers, columns(containers.map((c) => [c.name, c.image, c.state, c.status])))
  })
  command(
    'restart-service',
    'restart all tasks of a service, one after the other (asked of a manager)',
    async ({ client, signal, result }, [name]) => {
      const done = await client.service.restart({ name: name ?? '' }, { signal })
      result(done, done.reason)
    },
    ['<service>'],
  )
  registerAvailability(node, app)
}
