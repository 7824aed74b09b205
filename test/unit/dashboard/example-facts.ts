/** A site as its hosts tell it at one moment: one host is down, a copy is filled, a deploy goes on. Sizes and names can be chosen. */
import { ServiceInfo, SwarmNode, TaskInfo } from '#gen/hive/v1/docker.ts'
import { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { InfoResponse } from '#gen/hive/v1/host.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { OperationView } from '../../../cli/dashboard/operations.ts'
import type { ViewInput } from '../../../cli/dashboard/view.ts'
import type { StageFacts } from '../../../coordinator/dashboard/facts.ts'
import { RunFold } from '../../../coordinator/dashboard/run-view.ts'
import { finding, repairOf } from '../../../coordinator/doctor/finding.ts'
import type { HiveEvent } from '../../../coordinator/events.ts'
import type { HostStatus } from '../../../coordinator/run/status.ts'

export const at = new Date('2026-11-26T12:00:00Z')
const ago = (minutes: number): Date => new Date(at.getTime() - minutes * 60_000)

/** Which text stands where a host, a service … tells one; by default the plain one. */
export type Words = (plain: string) => string

export interface ExampleOptions {
  readonly hosts?: number
  readonly services?: number
  readonly words?: Words
  readonly operates?: boolean
  /** How much of the copy is filled, percent. */
  readonly filled?: number
}

const serviceNames = ['web', 'mariadb', 'powerdns', 'grafana', 'mail', 'wiki', 'proxy', 'ldap', 'queue', 'git']

export function example({
  hosts: hostCount = 4,
  services: serviceCount = 8,
  words = (plain) => plain,
  operates = true,
  filled = 43.2,
}: ExampleOptions = {}): ViewInput {
  const names = Array.from({ length: hostCount }, (_, index) => `hive${index}.example.org`)
  const downHost = names.at(-2) ?? ''
  const repository = names.at(-1) ?? ''
  const services = Array.from({ length: serviceCount }, (_, index) => {
    const base = serviceNames[index % serviceNames.length] ?? 'x'
    return index < serviceNames.length ? base : `${base}-${Math.floor(index / serviceNames.length)}`
  })
  const hives = names.filter((name) => name !== repository)
  const short = (name: string): string => name.split('.')[0] ?? name
  const site = {
    name: 'example.org',
    stage: 'production' as const,
    hosts: names.map((name, index) => ({ name, shortName: short(name), address: `192.0.2.${index + 4}`, isHive: name !== repository })),
    services: services.map((name) => ({ name })),
    mirrored: ['db_data', 'web_data'],
  }
  const copy = (volume: string, host: string): DrbdResourceStatus => {
    const others = hives.slice(0, 3).filter((other) => other !== host)
    const lags = volume === 'db_data' && host === hives[1]
    return DrbdResourceStatus.fromPartial({
      name: volume,
      role: host === hives[0] ? 'Primary' : 'Secondary',
      devices: [{ minor: 1, diskState: lags ? words('Inconsistent') : words('UpToDate'), quorum: true, sizeKib: 20_971_520n }],
      connections: others.map((other) => ({
        name: short(other),
        state: other === downHost ? words('Connecting') : 'Connected',
        peerRole: other === hives[0] ? 'Primary' : 'Secondary',
        peerDevices: [
          {
            replicationState: lags && other === hives[0] ? words('SyncTarget') : 'Established',
            outOfSyncKib: lags ? 11_911_000n : 0n,
            percentInSync: filled,
            ...(lags && other === hives[0] ? { sync: { percentDone: filled, secondsLeft: 190n, mibPerSecond: 61.4 } } : {}),
          },
        ],
      })),
    })
  }
  const status = names.map((name, index): HostStatus => {
    const down = name === downHost
    return {
      name,
      address: `192.0.2.${index + 4}`,
      power: down ? 'halted' : 'running',
      agent: down
        ? undefined
        : InfoResponse.fromPartial({
            host: name,
            version: words('0.1.0'),
            kernel: words('5.14.0-427.el9.x86_64'),
            uptimeSeconds: BigInt(86_400 * 12 + index * 3600),
          }),
      error: down
        ? { code: 'unreachable', message: words('does not answer within 5 s'), hint: words('is it on?'), host: name, stepId: undefined, log: [] }
        : undefined,
      node:
        name === repository
          ? undefined
          : SwarmNode.fromPartial({
              id: `node${index}`,
              name: short(name),
              role: index < 3 ? 'manager' : 'worker',
              leader: index === 0,
              state: down ? words('down') : words('ready'),
              availability: 'active',
            }),
      supervisor: down
        ? undefined
        : { hold: index === 1 ? { by: words('anna@desk'), since: ago(40), until: undefined, reason: words('disks are moved') } : undefined, givenUp: [] },
      volumes: down || !hives.slice(0, 3).includes(name) ? (down ? undefined : []) : [copy('db_data', name), copy('web_data', name)],
      follower:
        index === 0
          ? { addresses: [{ address: words('192.0.2.80/24'), interface: 'eth0', services: [words('web')], router: false }] as never, problems: [] }
          : { addresses: [], problems: [] },
    }
  })
  const up = hives.filter((name) => name !== downHost)
  const tasks = services.flatMap((service, index) => {
    const wanted = index % 3 === 0 ? 2 : 1
    return Array.from({ length: wanted }, (_, slot) =>
      TaskInfo.fromPartial({
        id: `${service}-${slot}`,
        service,
        slot: slot + 1,
        node: service === 'grafana' ? '' : short(up[(index + slot) % up.length] ?? ''),
        state: service === 'grafana' ? words('pending') : words('running'),
        desiredState: 'running',
        error: service === 'grafana' ? words('no suitable node (scheduling constraints not satisfied on 2 nodes)') : '',
        since: ago(index * 97 + 12),
      }),
    )
  })
  const facts: StageFacts = {
    at,
    tasks,
    status: {
      alerts: undefined,
      alertsError: undefined,
      drift: { at: ago(180).toISOString(), differences: 0, strangers: 0, unknown: 0, unreachable: 0 },
      hosts: status,
      services: services.map((name, index) =>
        ServiceInfo.fromPartial({
          name,
          image: words(`registry.example.org:5000/image_${name}:latest@sha256:abc`),
          mode: 'replicated',
          running: name === 'grafana' ? 0 : index % 3 === 0 ? 2 : 1,
          desired: index % 3 === 0 ? 2 : 1,
          updateState: name === 'wiki' ? words('updating') : '',
          ports: index % 2 === 0 ? [{ published: 80 + index, target: 80, protocol: words('tcp'), mode: 'ingress' }] : [],
        }),
      ),
      backups: {
        folder: '/var/backups/hive',
        doing: '',
        next: new Date('2026-11-27T01:00:00Z'),
        offsite: undefined,
        backups: [
          {
            name: words('mariadb'),
            service: words('mariadb'),
            ext: 'sql',
            files: [],
            noFile: false,
            record: { lastSuccess: ago(660), lastFailure: undefined, reason: '', size: 1n, proven: ago(6000) },
          },
          {
            name: words('wiki'),
            service: words('wiki'),
            ext: 'tar',
            files: [],
            noFile: false,
            record: { lastSuccess: ago(2100), lastFailure: ago(660), reason: words('tar: /data: no such file'), size: 1n, proven: undefined },
          },
        ],
      },
      lock: undefined,
      notices: [words('in the swarm, but not in the inventory of stage production: old')],
    },
    doctor: {
      at: ago(1),
      error: undefined,
      findings: [
        finding({
          state: 'host-unreachable',
          volume: undefined,
          hosts: [downHost],
          title: words(`${short(downHost)} did not answer`),
          evidence: [],
          advice: words('what is said here leaves out what they hold'),
        }),
        finding({
          state: 'out-of-sync',
          volume: 'web_data',
          hosts: hives.slice(0, 1),
          title: words('web_data: 4 MiB differ between hive0 and hive1'),
          evidence: [words('hive0 → hive1: Connected Established')],
          repair: repairOf(words('compare and copy again'), { kind: 'disconnect', host: 'hive0', peer: 'hive1' }),
        }),
      ],
    },
  }
  const operations: readonly OperationView[] = operates
    ? [{ id: 1, title: words('restart web'), started: ago(1), state: 'done', lines: [words('tasks are replaced one after the other')] }]
    : []
  return { site, facts, runs: [liveRun(words), endedRun(words)], busy: true, operates, operations }
}

const entries = (events: readonly HiveEvent[]) => events.map((event, index) => ({ at: new Date(at.getTime() - 120_000 + index * 1000).toISOString(), event }))

function runOf(runId: string, events: readonly HiveEvent[]) {
  const fold = new RunFold(runId)
  for (const entry of entries(events)) fold.take(entry)
  return fold.view
}

const liveRun = (words: Words) => {
  const phase = 'deploy-services' as const
  const step = (name: string) => ({ phase, host: 'hive0.example.org', stepId: `deploy-services/${name}@hive0.example.org`, title: words(`service ${name}`) })
  const planned = (name: string) => ({
    ...step(name),
    outcome: { kind: 'change' as const, reason: 'other image', before: '', after: '', disruption: Disruption.RESTART },
  })
  return runOf('20261126T115800000Z-1f3a', [
    { code: 'run.started', runId: 'x', command: words('deploy'), stage: 'production' },
    { code: 'phase.started', phase: 'build-images' },
    { code: 'phase.planned', phase: 'build-images', steps: [], unreachable: [], planCalls: 1 },
    { code: 'phase.finished', phase: 'build-images', ok: true, changed: 0, milliseconds: 1400 },
    { code: 'phase.started', phase },
    { code: 'phase.planned', phase, steps: ['web', 'wiki', 'mail', 'proxy'].map(planned), unreachable: [], planCalls: 3 },
    { code: 'step.started', ...step('web') },
    { code: 'step.finished', ...step('web'), result: 'changed', reason: words('other image'), milliseconds: 8200, error: undefined },
    { code: 'step.started', ...step('wiki') },
    { code: 'step.log', ...step('wiki'), line: words('1 of 2 tasks runs') },
    { code: 'step.started', ...step('mail') },
    { code: 'step.progress', ...step('mail'), what: words('pulling'), done: 61, total: 100, unit: 'MiB' },
  ])
}

const endedRun = (words: Words) =>
  runOf('20261125T090000000Z-77aa', [
    { code: 'run.started', runId: 'y', command: words('deploy'), stage: 'production' },
    {
      code: 'run.finished',
      runId: 'y',
      ok: false,
      changed: 3,
      milliseconds: 93_000,
      errors: [
        {
          code: 'not-converged',
          message: words('grafana does not come up'),
          hint: words('hivecoord ps grafana --all'),
          host: 'hive0.example.org',
          stepId: undefined,
          log: [],
        },
      ],
    },
  ])
