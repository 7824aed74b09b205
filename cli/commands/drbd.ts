/** `hivecoord drbd …`: mirrored volumes as DRBD has them on all hosts, and repairs on one of them. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { DrbdChange, DrbdOperation, DrbdOperationResponse, ListDrbdResponse } from '#gen/hive/v1/drbd.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { reportOf } from '../../coordinator/client/errors.ts'
import type { CallOptions } from '../../coordinator/client/method.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { Stage } from '../../coordinator/index.ts'
import { mirroredVolumesOf, mirrorsWithDrbd } from '../../coordinator/inventory/mirrored-volumes.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { shortHost } from '../render/format.ts'
import { askForName, askToGoOn } from './ask.ts'
import { type HostStatus, membersOf, viewsOf, volumeDetails, volumeTable } from './drbd-table.ts'
import { findHost } from './find-host.ts'

/** Milliseconds. A look at a host must not take long; an operation may wait for one that runs. */
const lookDeadline = 15_000
const workDeadline = 300_000
/** Seconds of the kernel's log that `status` tells. */
const logSeconds = 3600

interface GivenOptions {
  readonly host: string
  readonly yes?: string
  readonly force?: boolean
  readonly discardMyData?: boolean
  /** --no-snapshot */
  readonly snapshot?: boolean
}
type Perform = (client: AgentClient, request: DrbdOperation, call: CallOptions) => Promise<DrbdOperationResponse>

export function registerDrbd(program: Command, app: () => App): void {
  const drbd = program.command('drbd').description('mirrored volumes as DRBD has them, and their repair')
  drbd
    .command('list')
    .description('all volumes: Primary, each host’s disk and connections, quorum')
    .action(async () => {
      const { stage, hosts } = await look(app())
      const expected = (mirrorsWithDrbd(stage.site) ? mirroredVolumesOf(stage.site) : []).map(({ name }) => name)
      app().renderer.result(asJson(hosts), volumeTable(hosts, expected))
      nameUnreachable(app(), hosts, stage)
    })
  drbd
    .command('status')
    .description('one volume on all its hosts, who holds it open, and what the kernel last said of it')
    .argument('<volume>')
    .action(async (volume: string) => {
      const { stage, hosts } = await look(app())
      const members = known(volume, membersOf(volume, hosts))
      const detailed = await Promise.all(members.map(async (member) => ({ ...member, notes: await notesOf(app(), stage, member, volume) })))
      app().renderer.result(
        detailed.map(({ host, resources, notes }) => ({
          host,
          status: resources?.find(({ name }) => name === volume),
          answered: resources !== undefined,
          notes,
        })),
        volumeDetails(volume, detailed),
      )
      nameUnreachable(app(), members, stage)
    })
  drbd
    .command('watch')
    .description('follow what DRBD tells on all hosts')
    .argument('[volume]')
    .action(async (volume = '') => watch(app(), volume))

  const operation = (name: string, description: string, perform: (peer: string, options: GivenOptions) => Perform, peer = false): Command => {
    const made = drbd.command(name).description(description).argument('<volume>')
    if (peer) made.argument('<peer>')
    made.requiredOption('--host <host>', 'where it is done').option('--yes <volume>', 'do it in spite of what it says may be lost; the volume’s name again')
    made.action(async (volume: string, ...rest: unknown[]) => {
      const options = made.opts<GivenOptions>()
      const known = peer ? findHost((await app().open()).site, String(rest[0])).name : ''
      await operate(app(), { verb: name, volume, options, perform: perform(known, options) })
    })
    return made
  }
  operation('up', 'start it on one host', () => (client, request, call) => client.drbd.up(request, call))
  operation('down', 'stop it on one host', () => (client, request, call) => client.drbd.down(request, call))
  operation('adjust', 'bring what runs to what its file says', () => (client, request, call) => client.drbd.adjust(request, call))
  operation('resize', 'take the size that all disks have by now', () => (client, request, call) => client.drbd.resize(request, call))
  operation('snapshot', 'keep this host’s copy as it is under another name', () => (client, request, call) => client.drbd.snapshot(request, call))
  operation('connect', 'connect to a peer that it is StandAlone to', (peer, options) => connect(peer, options), true)
    .option('--discard-my-data', 'disconnect this host from all peers, and give up what it alone has')
    .option('--no-snapshot', 'without keeping what is given up')
  operation('disconnect', 'end the connection to one peer', (peer) => (client, request, call) => client.drbd.disconnect({ ...request, peer }, call), true)
  operation('verify', 'compare the copy with a peer’s', (peer) => (client, request, call) => client.drbd.verify({ ...request, peer }, call), true)
  operation(
    'primary',
    'make it Primary; a mount does so by itself',
    (_peer, { force = false }) =>
      (client, request, call) =>
        client.drbd.primary({ ...request, force }, call),
  ).option('--force', 'without quorum, or with a copy that is not UpToDate')
  operation(
    'secondary',
    'make it Secondary',
    (_peer, { force = false }) =>
      (client, request, call) =>
        client.drbd.secondary({ ...request, force }, call),
  ).option('--force', 'who holds it open gets I/O errors')
  operation(
    'invalidate',
    'throw this host’s copy away and take a peer’s',
    (_peer, { snapshot = true }) =>
      (client, request, call) =>
        client.drbd.invalidate({ ...request, withoutSnapshot: !snapshot }, call),
  ).option('--no-snapshot', 'without keeping what is given up')
  operation(
    'forget-peer',
    'do not count a peer any more that is gone for good',
    (peer) => (client, request, call) => client.drbd.forgetPeer({ ...request, peer }, call),
    true,
  )
}

const connect = (peer: string, { discardMyData = false, snapshot = true }: GivenOptions): Perform =>
  discardMyData
    ? (client, request, call) => client.drbd.discardMyData({ ...request, withoutSnapshot: !snapshot }, call)
    : (client, request, call) => client.drbd.connect({ ...request, peer }, call)

interface Operation {
  readonly verb: string
  readonly volume: string
  readonly options: GivenOptions
  readonly perform: Perform
}

/** Asks the host what it would do, with what all others say; tells that; has it confirmed; does it. */
async function operate(app: App, { verb, volume, options, perform }: Operation): Promise<void> {
  const { renderer, signal } = app
  const { stage, hosts } = await look(app)
  const { name: host } = findHost(stage.site, options.host)
  nameUnreachable(app, membersOf(volume, hosts), stage)
  const client = await answering(stage.agents, host, signal)
  const others = viewsOf(volume, hosts).filter((view) => view.host !== host)
  const request = { name: volume, confirm: '', preview: true, others }
  const call = { signal, deadline: workDeadline }
  const told = await perform(client, request, call)
  const { effect, doubts } = told
  if (effect === undefined) {
    renderer.result({ host, volume, ...told }, `${shortHost(host)}: nothing to do, ${told.reason}`)
    return
  }
  for (const reason of effect.reasons) renderer.event({ code: 'notice', message: `quorum of ${volume} afterwards: ${reason}` })
  for (const doubt of doubts) renderer.event({ code: 'warning', message: doubt })
  const refused = 'nothing was done'
  if (doubts.length === 0) {
    if (options.yes !== volume) await askToGoOn(`${verb} ${volume} on ${shortHost(host)}?`, refused, signal)
  } else if (options.yes !== volume)
    await askForName(`${verb} ${volume} on ${shortHost(host)}.`, volume, {
      unasked: `${verb} ${volume} on ${shortHost(host)}: ${doubts.join('; ')}`,
      hint: `add --yes ${volume} to mean it`,
      refused,
      signal,
    })
  // What is confirmed is what was told: with nothing in doubt the name is not given, and what has changed since stops it.
  const done = await perform(client, { ...request, preview: false, confirm: doubts.length > 0 ? volume : '' }, call)
  const kept = done.snapshot === '' ? '' : `; what was there is kept as ${done.snapshot}`
  renderer.result({ host, volume, ...done }, `${shortHost(host)}: ${done.reason}${kept}`)
}

async function look(app: App): Promise<{ readonly stage: Stage; readonly hosts: readonly HostStatus[] }> {
  const stage = await app.open()
  const { signal } = app
  const names = stage.site.hosts.filter(({ isHive }) => isHive).map(({ name }) => name)
  const list = ({ drbd }: AgentClient): Promise<Pick<ListDrbdResponse, 'resources'>> =>
    drbd.list({}, { signal, deadline: lookDeadline }).catch((error: unknown) => {
      // It answers, and has no DRBD: its volumes are of another kind.
      if (error instanceof HiveError && error.code === 'command-failed') return { resources: [] }
      throw error
    })
  const asked = await stage.agents.askAll(names, list, signal)
  const hosts = [...asked].map(([host, given]): HostStatus => ({ host, resources: 'answer' in given ? given.answer.resources : undefined }))
  return { stage, hosts }
}

function known(volume: string, members: readonly HostStatus[]): readonly HostStatus[] {
  if (members.some(({ resources }) => resources?.some(({ name }) => name === volume))) return members
  throw new HiveError('not-found', `no host that answers has ${volume} up`, { hint: `hivecoord drbd list; hivecoord drbd up ${volume} --host HOST` })
}

function nameUnreachable({ renderer }: App, hosts: readonly HostStatus[], stage: Stage): void {
  const away = hosts.filter(({ resources }) => resources === undefined).map(({ host }) => shortHost(host))
  if (away.length > 0) renderer.event({ code: 'warning', message: `${away.join(', ')} of stage ${stage.site.stage} did not answer` })
}

async function notesOf({ signal }: App, stage: Stage, { host, resources }: HostStatus, name: string): Promise<readonly string[]> {
  if (resources === undefined) return []
  const reached = await stage.agents.reach(host, signal)
  if ('error' in reached) return []
  const { holders, kernelLog } = await reached.client.drbd.status({ name, logSeconds }, { signal, deadline: lookDeadline })
  return [...holders.map(({ kind, pid, command, what }) => `held: ${kind} ${what} ${command} (pid ${pid})`), ...kernelLog.slice(-10)]
}

async function watch({ open, signal, renderer, options }: App, name: string): Promise<void> {
  const stage = await open()
  const hosts = stage.site.hosts.filter(({ isHive }) => isHive).map((one) => one.name)
  await Promise.all(
    hosts.map(async (host) => {
      const fromHost = async (): Promise<void> => {
        const client = await answering(stage.agents, host, signal)
        for await (const change of client.drbd.watch({ name }, { signal }))
          process.stdout.write(options.output === 'json' ? `${JSON.stringify({ host, ...change })}\n` : `${changeLine(host, change)}\n`)
      }
      await fromHost().catch((error: unknown) => {
        if (signal.aborted) throw error
        renderer.error(reportOf(error, host))
        process.exitCode = 1
      })
    }),
  )
}

/** "10:21:30.174 hive1 web → hive0 connection Connected → NetworkFailure". */
export function changeLine(host: string, { at, resource, verb, object, peer, changes, helper }: DrbdChange): string {
  const what =
    helper !== ''
      ? `${verb} ${helper}`
      : changes.map(({ key, before, after }) => `${key} ${before === '' ? '' : `${before} → `}${after === '' ? 'gone' : after}`).join(', ')
  const whom = peer === '' ? '' : ` → ${shortHost(peer)}`
  return `${pc.dim(at?.toISOString() ?? '')} ${pc.cyan(shortHost(host))} ${resource}${whom} ${['change', 'call', 'response'].includes(verb) ? '' : `${verb} ${object} `}${what}`
}

const asJson = (hosts: readonly HostStatus[]) => hosts.map(({ host, resources }) => ({ host, answered: resources !== undefined, resources: resources ?? [] }))
