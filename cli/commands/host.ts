/** `hivecoord host …`: hosts of a running site one by one: looked at, taken out in order, restarted, and let in again. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { weighLoss } from '../../coordinator/guard/weigh-loss.ts'
import type { WorkOptions } from '../../coordinator/hosts/host-work.ts'
import type { Stage } from '../../coordinator/index.ts'
import type { Site } from '../../coordinator/inventory/site.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { columns } from '../render/format.ts'
import { askToGoOn } from './ask.ts'
import { findHost } from './find-host.ts'
import { registerHold } from './hold.ts'
import { registerAdd, registerReplace } from './host-replace.ts'
import { hostRows, markText, partOf, uptime, verdictLines, verdictText } from './host-text.ts'
import { allowedServices, splitNames } from './limit.ts'

interface GuardOptions {
  readonly wait?: boolean
  readonly plan?: boolean
  readonly allow?: string
  readonly force?: string
}

export function registerHost(program: Command, app: () => App): void {
  const host = program.command('host').description('hosts of a running site, one by one: look, drain, restart')
  host
    .command('list')
    .description('all hosts: power, part in the swarm, since when they run, planned work that was left')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const { hosts, notices } = await stage.status(signal)
      renderer.result(
        hosts.map((one) => ({ ...one, work: markText(hosts, one.name) })),
        [hostRows(hosts), ...notices.map((notice) => pc.yellow(notice))].join('\n'),
      )
    })
  host
    .command('show')
    .description('what runs on a host, and what would be left without it')
    .argument('<host>')
    .action(async (name: string) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const found = findHost(stage.site, name)
      const [{ hosts }, picture] = await Promise.all([stage.status(signal), stage.lookAtHosts(signal)])
      const status = hosts.find((one) => one.name === found.name)
      const part = partOf(picture, found.name)
      const verdict = weighLoss(picture, { kind: 'host', host: found.name })
      const { node, services, volumes } = part
      const text = [
        `${found.name}  ${found.address}  ${status?.power ?? ''}`,
        status?.agent === undefined
          ? pc.red(status?.error?.message ?? 'its agent does not answer')
          : `agent ${status.agent.version}, kernel ${status.agent.kernel}, up ${uptime(Number(status.agent.uptimeSeconds))}`,
        ...(node === undefined ? [] : [`swarm: ${node.role}${node.leader ? ' (leader)' : ''}, ${node.state}, ${node.availability}`]),
        ...[markText(hosts, found.name)].flatMap((line) => (line === '' ? [] : [pc.yellow(line)])),
        ...(services.length === 0 ? [] : ['', columns(services.map((one) => [`service ${one.name}`, one.tasks.join(', ')]))]),
        ...(volumes.length === 0 ? [] : ['', columns(volumes.map((one) => [`volume ${one.name}`, one.role, one.disks.join(', ')]))]),
        '',
        verdict.yes ? pc.green('without it the site goes on') : pc.red('without it the site does not go on as it should'),
        ...verdictLines(verdict).map((line) => `  ${line}`),
      ]
      renderer.result({ ...status, part, guard: verdict }, text.join('\n'))
    })

  guarded(host.command('drain').description('move a host’s tasks away, and wait until they run elsewhere').argument('<host>')).action(
    async (name: string, options: GuardOptions) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const found = findHost(stage.site, name)
      const work = workOptions(stage.site, [found.name], options)
      if (options.plan === true) return tellPlan(app(), stage, [found.name], 'tasks', work)
      await stage.drainHost(found.name, work, signal)
      renderer.result({ drained: found.name }, `${found.name} is drained; hivecoord host undrain ${found.shortName} lets it have tasks again`)
    },
  )
  host
    .command('undrain')
    .description('let a host have tasks again; what a restart that did not end left on it goes')
    .argument('<host>')
    .action(async (name: string) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const found = findHost(stage.site, name)
      await stage.undrainHost(found.name, signal)
      renderer.result({ undrained: found.name }, `${found.name} takes tasks`)
    })
  guarded(
    host
      .command('remove')
      .description('take a host out of the swarm for good: drained, no manager any more, forgotten; its volumes stay as they are')
      .argument('<host>'),
  ).action(async (name: string, options: GuardOptions) => {
    const { open, renderer, signal } = app()
    const stage = await open()
    const found = findHost(stage.site, name)
    const work = workOptions(stage.site, [found.name], options)
    if (options.plan === true) return tellPlan(app(), stage, [found.name], 'member', work)
    await askToGoOn(`Take ${found.shortName} out of the swarm?`, 'nothing was done', signal)
    const removed = await stage.removeHost(found.name, work, signal)
    renderer.result(
      { host: found.name, removed },
      removed
        ? `${found.name} is out of the swarm; where it does not come back, take it out of the inventory and deploy. setup-hosts lets it join again`
        : `${found.name} is not in the swarm`,
    )
  })
  guarded(
    host
      .command('reboot')
      .description('restart hosts one at a time, the swarm’s leader last; each is drained before, and whole again before the next')
      .argument('[hosts...]')
      .option('--all', 'all hosts of the stage'),
  ).action(async (names: readonly string[], options: ManyOptions) => {
    const { open, renderer, signal } = app()
    const stage = await open()
    const { hosts, work } = chosenHosts(stage.site, names, options)
    if (options.plan === true) {
      const order = await stage.rebootOrder(hosts, signal)
      return tellPlan(app(), stage, order, 'host', work)
    }
    const result = await stage.rebootHosts(hosts, work, signal)
    const { rebooted, before } = result
    renderer.result(
      result,
      [
        rebooted.length === 0 ? 'no host was left to restart' : `restarted: ${rebooted.join(', ')}`,
        ...(before.length === 0 ? [] : [`restarted before, by the command that was killed: ${before.join(', ')}`]),
      ].join('\n'),
    )
  })
  guarded(
    host
      .command('update')
      .description('bring packages of hosts up to date one host at a time, each drained before; restarts those that need it')
      .argument('[hosts...]')
      .option('--all', 'all hosts of the stage')
      .option('--kernel', 'kernels and DRBD, too, which are held otherwise; none is kept in which DRBD does not work')
      .option('--no-reboot', 'restart none'),
  ).action(async (names: readonly string[], options: ManyOptions & { reboot: boolean; kernel?: boolean }) => {
    const { open, renderer, signal } = app()
    const stage = await open()
    const { hosts, work } = chosenHosts(stage.site, names, options)
    const kernel = options.kernel === true
    if (options.plan === true) {
      const pending = await stage.pendingUpdates(hosts, { kernel }, signal)
      for (const [name, packages] of pending) renderer.event({ code: 'notice', message: `${name}, by what it knows of its package sources: ${packages}` })
      return tellPlan(app(), stage, await stage.rebootOrder(hosts, signal), 'host', work)
    }
    const result = await stage.updateHosts(hosts, { ...work, kernel, restart: options.reboot ? 'needed' : 'never' }, signal)
    const { rebooted, withoutRestart, same } = result
    const restarted = rebooted.filter((name) => !withoutRestart.includes(name))
    renderer.result(
      result,
      [
        rebooted.length === 0 ? 'nothing to update' : `updated: ${rebooted.join(', ')}`,
        ...(restarted.length === 0 ? [] : [`restarted: ${restarted.join(', ')}`]),
        ...(same.length === 0 || rebooted.length === 0 ? [] : [`nothing to do: ${same.join(', ')}`]),
      ].join('\n'),
    )
  })
  registerAdd(host, app)
  registerReplace(host, app)
  registerHold(host, app)
}

type ManyOptions = GuardOptions & { readonly all?: boolean }

/** Throws HiveError 'invalid-input' where neither hosts nor --all are given, or both. */
function chosenHosts(site: Site, names: readonly string[], options: ManyOptions): { readonly hosts: Site['hosts']; readonly work: WorkOptions } {
  if (options.all === true ? names.length > 0 : names.length === 0)
    throw new HiveError('invalid-input', 'which hosts? They are named, or all with --all', {
      hint: `it has ${site.hosts.map((one) => one.shortName).join(', ')}`,
    })
  const chosen = new Set(names.map((name) => findHost(site, name).name))
  const hosts = site.hosts.filter((one) => options.all === true || chosen.has(one.name))
  const work = workOptions(
    site,
    hosts.map((one) => one.name),
    options,
  )
  return { hosts, work }
}

const guarded = (command: Command): Command =>
  command
    .option('--wait', 'where it is not safe now, wait until it is, as long as something moves')
    .option('--plan', 'only tell what the guard says; exit code 4 where that is no')
    .option('--allow <services>', 'services that may stop meanwhile, separated by commas')
    .option('--force <hosts>', 'these hosts in spite of what the guard says; each named once more, separated by commas')

/** Throws HiveError 'invalid-input' for a service that the stage does not have, and a host that is not among `hosts`. */
function workOptions(site: Site, hosts: readonly string[], options: GuardOptions): WorkOptions {
  const allowed = allowedServices(site, options.allow)
  const forced = splitNames(options.force).map((name) => findHost(site, name).name)
  const other = forced.find((name) => !hosts.includes(name))
  if (other !== undefined) throw new HiveError('invalid-input', `--force names ${other}, which is not among the hosts of this command`)
  return { allowed, forced: new Set(forced), wait: options.wait === true }
}

const verbs = { host: 'restarted', tasks: 'drained', member: 'removed' } as const

async function tellPlan({ renderer, signal }: App, stage: Stage, hosts: readonly string[], kind: keyof typeof verbs, { allowed }: WorkOptions): Promise<void> {
  const picture = await stage.lookAtHosts(signal)
  const verdicts = hosts.map((host) => ({ host, ...weighLoss(picture, { kind, host }, allowed) }))
  renderer.result(verdicts, verdicts.map((verdict) => verdictText(verdict.host, verdict, verbs[kind])).join('\n'))
  if (verdicts.some(({ yes }) => !yes)) process.exitCode = foundExitCode
}
