/** What the page says, in words: facts of a stage made into rows. Pure. */
import type { StageFacts } from '../../coordinator/dashboard/facts.ts'
import type { RunView } from '../../coordinator/dashboard/run-view.ts'
import { type Finding, rankOf, type StateName } from '../../coordinator/doctor/finding.ts'
import type { Site } from '../../coordinator/inventory/site.ts'
import type { HostStatus } from '../../coordinator/run/status.ts'
import { moment } from '../commands/backup.ts'
import { givenUpWords, holdWords } from '../commands/hold.ts'
import { markText, uptime } from '../commands/host-text.ts'
import { age, shortHost } from '../render/format.ts'
import { type Action, type Mark, mark } from './mark.ts'
import type { OperationView } from './operations.ts'
import { type ServiceRow, serviceRows, tasksOn } from './service-view.ts'
import { type VolumeRow, volumeRows } from './volume-view.ts'

export interface HostRow {
  readonly name: string
  readonly address: string
  readonly power: Mark
  readonly swarm: Mark
  readonly agent: Mark
  /** "web", "web ×2" */
  readonly runs: readonly string[]
  readonly remarks: readonly Mark[]
  readonly actions: readonly Action[]
}

export interface Trouble {
  readonly tone: 'bad' | 'warn'
  readonly title: string
  readonly evidence: readonly string[]
  readonly advice: string
}

export interface BackupRow {
  readonly name: string
  readonly service: string
  readonly last: Mark
  readonly proven: Mark
}

export interface DashboardView {
  readonly title: string
  readonly stage: string
  readonly operates: boolean
  /** One sentence for those who hear the page. */
  readonly summary: string
  /** `detail` is what changes all the time: it is not in the summary. */
  readonly tiles: readonly { readonly name: string; readonly mark: Mark; readonly detail?: string; readonly target: string }[]
  readonly operations: readonly OperationView[]
  readonly troubles: readonly Trouble[]
  /** When the doctor looked, and that it found nothing, or could not. */
  readonly doctor: Mark
  readonly hosts: readonly HostRow[]
  readonly services: readonly ServiceRow[]
  readonly volumes: readonly VolumeRow[]
  /** undefined: nobody tells. */
  readonly backups: readonly BackupRow[] | undefined
  readonly nextBackup: string
  readonly runs: readonly RunView[]
  /** The run that goes on now. */
  readonly live: string | undefined
}

export interface ViewInput {
  readonly site: Pick<Site, 'name' | 'stage'> & {
    readonly hosts: readonly Pick<Site['hosts'][number], 'name' | 'shortName' | 'address' | 'isHive'>[]
    readonly services: readonly Pick<Site['services'][number], 'name'>[]
    /** Names of mirrored volumes. */
    readonly mirrored: readonly string[]
  }
  /** undefined: nobody answered yet. */
  readonly facts: StageFacts | undefined
  readonly runs: readonly RunView[]
  /** Whether somebody on this machine is at work on the stage now. */
  readonly busy: boolean
  readonly operates: boolean
  readonly operations: readonly OperationView[]
}

export function viewOf({ site, facts, runs, busy, operates, operations }: ViewInput): DashboardView {
  const hosts = site.hosts.map((host) => hostRow(host, facts, operates))
  const services = serviceRows(site, facts, operates)
  const volumes = volumeRows(site, facts)
  const troubles = facts === undefined ? [] : troublesOf(facts)
  const backups = facts?.status.backups
  const live = busy && runs[0]?.finished === undefined ? runs[0]?.runId : undefined
  const tiles = [
    { name: 'Hosts', mark: hostsMark(facts), target: 'hosts' },
    { name: 'Swarm', mark: swarmMark(facts), target: 'hosts' },
    { name: 'Services', mark: servicesMark(facts, services), target: 'services' },
    { name: 'Mirrored volumes', mark: volumesMark(facts, volumes), detail: slowestCopy(volumes), target: 'volumes' },
    { name: 'To look at', mark: troublesMark(facts, troubles), target: 'troubles' },
    ...(facts === undefined ? [] : [{ name: 'Drift', mark: driftMark(facts.status.drift, facts.at), target: 'troubles' }]),
    { name: 'Last run', mark: runMark(runs[0], live), target: 'runs' },
  ]
  return {
    title: site.name,
    stage: site.stage,
    operates,
    summary: tiles.map(({ name, mark: { text } }) => `${name}: ${text}`).join('. '),
    tiles,
    operations,
    troubles,
    doctor: doctorMark(facts),
    hosts,
    services,
    volumes,
    backups: backups?.backups.map(({ name, service, record, noFile }) => ({
      name,
      service,
      last:
        record?.lastFailure !== undefined
          ? mark(`failed ${moment(record.lastFailure)}: ${record.reason}`, 'bad')
          : record?.lastSuccess !== undefined
            ? mark(moment(record.lastSuccess), 'good')
            : mark(noFile ? 'keeps no file' : 'not made yet', noFile ? 'quiet' : 'warn'),
      proven: record?.proven === undefined ? mark('never', 'quiet') : mark(moment(record.proven), 'good'),
    })),
    nextBackup: backups?.next === undefined ? '' : moment(backups.next),
    runs,
    live,
  }
}

const waiting = mark('asked', 'quiet')

function hostRow(host: ViewInput['site']['hosts'][number], facts: StageFacts | undefined, operates: boolean): HostRow {
  const { name, address } = host
  const status = facts?.status.hosts.find((one) => one.name === name)
  if (facts === undefined || status === undefined)
    return { name, address, power: waiting, swarm: mark('', 'quiet'), agent: waiting, runs: [], remarks: [], actions: [] }
  const { power, agent, node, error } = status
  const drained = node?.availability === 'drain'
  return {
    name,
    address,
    power: mark(power, power === 'running' ? 'good' : power === 'unknown' ? 'quiet' : 'bad'),
    swarm: nodeMark(node, host.isHive, facts.status.services !== undefined),
    agent:
      agent === undefined
        ? mark(error?.message ?? 'does not answer', 'bad')
        : mark(`agent ${agent.version}, up ${uptime(Number(agent.uptimeSeconds))}, kernel ${agent.kernel}`, 'good'),
    runs: tasksOn(host.shortName, facts.tasks ?? []),
    remarks: remarksOf(status, facts.status.hosts),
    actions: !operates || node === undefined ? [] : [{ kind: drained ? 'undrain' : 'drain', name: host.shortName }],
  }
}

function nodeMark(node: HostStatus['node'], isHive: boolean, told: boolean): Mark {
  if (node === undefined) return !isHive ? mark('not a member', 'quiet') : told ? mark('not in the swarm', 'bad') : mark('no manager answers', 'bad')
  const words = [node.leader ? 'leader' : node.role, node.state, ...(node.availability === 'active' ? [] : [node.availability])].join(', ')
  return mark(words, node.state !== 'ready' ? 'bad' : node.availability === 'active' ? 'good' : 'warn')
}

const remarksOf = (status: HostStatus, all: readonly HostStatus[]): readonly Mark[] => [
  ...[markText(all, status.name)].flatMap((text) => (text === '' ? [] : [mark(text, 'warn')])),
  ...(status.supervisor?.hold === undefined ? [] : [mark(`supervisor ${holdWords(status.supervisor.hold)}`, 'warn')]),
  ...(status.follower?.addresses ?? []).map(({ address, services }) => mark(`${address} for ${services.join(', ')}`, 'good')),
]

/** What the doctor says of hosts that do not answer. */
const silences: ReadonlySet<StateName> = new Set(['host-unreachable', 'host-off', 'agent-silent'])
/** What each look at the stage tells by itself, sooner than the doctor. */
const toldLive: ReadonlySet<StateName> = new Set(['service-behind', 'service-down', 'node-drained', 'backup-failed', 'supervisor-gave-up', 'follower'])

function troublesOf({ status, doctor }: StageFacts): readonly Trouble[] {
  const bad = (title: string, advice = '', evidence: readonly string[] = []): Trouble => ({ tone: 'bad', title, evidence, advice })
  const warn = (title: string, advice = ''): Trouble => ({ tone: 'warn', title, evidence: [], advice })
  const found = (doctor?.findings ?? []).filter(({ state }) => !toldLive.has(state))
  const named = new Set(found.filter(({ state }) => silences.has(state)).flatMap(({ hosts }) => hosts))
  const silent = status.hosts.filter(({ agent, name }) => agent === undefined && !named.has(name))
  return [
    ...found.filter(({ state }) => rankOf(state) === 1).map(ofFinding),
    ...(status.services === undefined && !found.some(({ state }) => state === 'swarm-no-majority')
      ? [bad('no manager of the swarm answers', 'what runs is not known')]
      : []),
    ...silent.map(({ name, error }) => bad(`${shortHost(name)} does not answer: ${error?.message ?? ''}`, error?.hint ?? '')),
    ...status.hosts.flatMap(({ name, supervisor }) =>
      (supervisor?.givenUp ?? []).map((one) => bad(`the supervisor of ${shortHost(name)} ${givenUpWords(one)}`)),
    ),
    ...problemsOf(status.hosts).map((text) => bad(text, 'see docs/virtual-addresses.md')),
    ...found.filter(({ state }) => rankOf(state) === 2).map(ofFinding),
    ...(status.services ?? [])
      .filter(({ running, desired }) => running < desired)
      .map(({ name, running, desired }) => bad(`${name} runs ${running} of ${desired} tasks`, `hivecoord ps ${name} --all tells why`)),
    ...(status.backups?.backups ?? []).flatMap(({ name, record }) =>
      record?.lastFailure === undefined ? [] : [bad(`backup ${name} failed ${moment(record.lastFailure)}`, '', [record.reason])],
    ),
    ...found.filter(({ state }) => rankOf(state) === 3).map(ofFinding),
    ...status.hosts.flatMap(({ name, node }) =>
      node?.availability === 'drain' ? [warn(`${shortHost(name)} is drained`, `hivecoord host undrain ${shortHost(name)} lets it have tasks again`)] : [],
    ),
    ...status.notices.map((notice) => warn(notice)),
  ]
}

/** A label that all managers find wrong is told once. */
const problemsOf = (hosts: readonly HostStatus[]): readonly string[] => [
  ...new Set(
    hosts.flatMap(({ name, follower }) =>
      (follower?.problems ?? []).map(({ service, label, message }) =>
        service === '' ? `${shortHost(name)}: ${message}` : [service, label, message].filter((word) => word !== '').join(': '),
      ),
    ),
  ),
]

function ofFinding({ state, volume, title, evidence, advice, command: next, repair, choices }: Finding): Trouble {
  const command = `hivecoord doctor${volume === undefined ? '' : ` ${volume}`}`
  const way = repair !== undefined ? `${repair.title}: ${command} --repair` : choices.size > 0 ? `${command} asks which copy counts` : next
  return {
    tone: rankOf(state) === 3 ? 'warn' : 'bad',
    title: `${state}: ${title}`,
    evidence,
    advice: [advice, way].filter((text) => text !== '').join('. '),
  }
}

function driftMark(drift: StageFacts['status']['drift'], now: Date): Mark {
  if (drift === undefined) return mark('never looked for', 'quiet')
  const found = drift.differences + drift.strangers
  const left = drift.unknown + drift.unreachable
  const words = [...(found === 0 && left > 0 ? [] : [found === 0 ? 'none' : `${found} found`]), ...(left === 0 ? [] : [`${left} not compared`])]
  return mark(`${words.join(', ')}, ${age(now.getTime() - Date.parse(drift.at))} ago`, found > 0 ? 'warn' : left > 0 ? 'quiet' : 'good')
}

function doctorMark(facts: StageFacts | undefined): Mark {
  const doctor = facts?.doctor
  if (doctor === undefined) return mark('the doctor looks', 'quiet')
  if (doctor.error !== undefined) return mark(`the doctor could not look: ${doctor.error}`, 'warn')
  const at = moment(doctor.at)
  return doctor.findings.length === 0 ? mark(`the doctor found nothing, ${at}`, 'good') : mark(`the doctor looked ${at}`, 'quiet')
}

function hostsMark(facts: StageFacts | undefined): Mark {
  if (facts === undefined) return waiting
  const all = facts.status.hosts.length
  const there = facts.status.hosts.filter(({ agent }) => agent !== undefined).length
  return there === all ? mark(`all ${all} answer`, 'good') : mark(`${there} of ${all} answer`, 'bad')
}

function swarmMark(facts: StageFacts | undefined): Mark {
  if (facts === undefined) return waiting
  const nodes = facts.status.hosts.flatMap(({ node }) => (node === undefined ? [] : [node]))
  const managers = nodes.filter(({ role }) => role === 'manager')
  if (managers.length === 0) return mark('no manager answers', 'bad')
  const reachable = managers.filter(({ state }) => state === 'ready').length
  const text = `${reachable} of ${managers.length} managers`
  if (reachable === managers.length) return mark(text, 'good')
  return mark(`${text}${reachable > managers.length / 2 ? ', still a majority' : ', no majority'}`, reachable > managers.length / 2 ? 'warn' : 'bad')
}

function servicesMark(facts: StageFacts | undefined, rows: readonly ServiceRow[]): Mark {
  if (facts === undefined) return waiting
  if (facts.status.services === undefined) return mark('not known', 'bad')
  const whole = rows.filter(({ replicas }) => replicas.tone === 'good').length
  return whole === rows.length ? mark(`all ${rows.length} whole`, 'good') : mark(`${whole} of ${rows.length} whole`, 'bad')
}

function volumesMark(facts: StageFacts | undefined, rows: readonly VolumeRow[]): Mark {
  if (facts === undefined) return waiting
  if (rows.length === 0) return mark('none', 'quiet')
  const whole = rows.filter(({ state }) => state.tone === 'good').length
  if (whole === rows.length) return mark(`all ${rows.length} whole`, 'good')
  return mark(`${whole} of ${rows.length} whole`, rows.some(({ state }) => state.tone === 'bad') ? 'bad' : 'warn')
}

/** '' where none is filled. */
function slowestCopy(rows: readonly VolumeRow[]): string {
  const filled = rows.flatMap(({ copies }) => copies.flatMap(({ fill }) => fill ?? []))
  return filled.length === 0 ? '' : `the slowest copy at ${Math.floor(Math.min(...filled) * 100)} %`
}

function troublesMark(facts: StageFacts | undefined, troubles: readonly Trouble[]): Mark {
  if (facts === undefined) return waiting
  return troubles.length === 0 ? mark('nothing', 'good') : mark(String(troubles.length), troubles.some(({ tone }) => tone === 'bad') ? 'bad' : 'warn')
}

function runMark(run: RunView | undefined, live: string | undefined): Mark {
  if (run === undefined) return mark('none yet', 'quiet')
  if (run.runId === live) return mark(`${run.command} goes on`, 'warn')
  return runResult(run)
}

export const runResult = ({ command, finished, ok }: RunView): Mark =>
  finished === undefined ? mark(`${command} did not end`, 'bad') : ok === true ? mark(`${command} ended well`, 'good') : mark(`${command} failed`, 'bad')
