/** Each thing that can be wrong with a stage is named by what was done to it, with a way out; a whole one is called whole. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { betweenHostsFindings } from '../../../coordinator/doctor/between-hosts-findings.ts'
import { type Finding, ranked, rankOf, siteStates, states } from '../../../coordinator/doctor/finding.ts'
import { hostFindings } from '../../../coordinator/doctor/host-findings.ts'
import { swarmFindings } from '../../../coordinator/doctor/swarm-findings.ts'
import { upkeepFindings } from '../../../coordinator/doctor/upkeep-findings.ts'
import type { WholePicture } from '../../../coordinator/doctor/whole-picture.ts'
import { ago, type Broken, later, node, now, site, task, web } from './whole-sites.ts'

const dead = (owner: string): boolean => owner === 'dead'
const findings = (picture: WholePicture): readonly Finding[] =>
  ranked([...hostFindings(picture, '1.0.0'), ...betweenHostsFindings(picture), ...swarmFindings(picture, dead), ...upkeepFindings(picture, dead)])
/** "host-off hive1 → hivecoord start" */
const told = ({ state, hosts, command, repair }: Finding): string =>
  [state, hosts.map((host) => host.replace('.site', '')).join(','), command === '' ? '' : `→ ${command}`, repair === undefined ? '' : `+ ${repair.title}`]
    .filter((part) => part !== '')
    .join(' ')

const away = { condition: undefined, agentVersion: undefined, error: 'no answer' } as const
const held = (owner: string) => ({ held: true, owner, purpose: 'deploy', since: ago(1), expires: later(1), granted: false })
const record = { lastSuccess: ago(10), lastFailure: undefined, reason: '', size: 1n, proven: ago(24) }
const backups = (given: Partial<typeof record> | { readonly lastFailure: Date }) => ({
  folder: '/b',
  next: now,
  doing: '',
  offsite: undefined,
  backups: [{ name: 'db', service: 'web', ext: 'gz', files: [], noFile: false, record: { ...record, ...given } }],
})
const follower = (address: string, heard: Date) => ({
  addresses: [{ address, prefixLength: 24, interface: 'eth0', services: ['web'], router: '' }],
  rules: [],
  marks: [],
  problems: [],
  heard,
})
const disk = (usedPercent: number, given = {}) => [{ name: '/', pool: false, usedPercent, inodesUsedPercent: 1, freeBytes: 1n, ...given }]

const cases: readonly (readonly [string, Broken, readonly string[]])[] = [
  ['nothing', {}, []],
  ['a host powered off', { host: { 1: { ...away, power: 'halted' } } }, ['host-off hive1 → hivecoord start']],
  ['a host that is not made', { host: { 1: { ...away, power: 'absent' } } }, ['host-off hive1 → hivecoord build-infra']],
  ['a host cut off', { host: { 1: { ...away, ssh: false } } }, ['host-unreachable hive1']],
  ['an agent that hangs', { host: { 1: { ...away, ssh: true } } }, ['agent-silent hive1 → hivecoord ssh hive1 sudo systemctl restart hive-agent']],
  ['an old agent', { host: { 1: { agentVersion: '0.9.0' } } }, ['agent-version hive1 → hivecoord agent upgrade hive1']],
  ['a very old agent', { host: { 1: { condition: undefined, agentVersion: '0.1.0' } } }, ['agent-version hive1 → hivecoord agent upgrade hive1']],
  ['a clock', { condition: { 2: { now: ago(1) } } }, ['clock-apart hive2 → hivecoord setup-hosts --limit hive2']],
  ["this machine's clock", { condition: { 0: { now: ago(1) }, 1: { now: ago(1) }, 2: { now: ago(1) }, 3: { now: ago(1) } } }, ['clock-apart']],
  ['a full disk', { condition: { 1: { disks: disk(97) } } }, ['disk-full hive1 → hivecoord images prune']],
  ['a disk that fills', { condition: { 1: { disks: disk(88, { name: '/home' }) } } }, ['disk-filling hive1']],
  ['inodes', { condition: { 1: { disks: disk(10, { name: '/srv', inodesUsedPercent: 99 }) } } }, ['disk-full hive1']],
  [
    'a unit that failed',
    { condition: { 3: { failedUnits: [{ name: 'x.service', load: 'loaded', active: 'failed', sub: 'failed', description: 'X' }] } } },
    ['failed-units hive3 → hivecoord node unit hive3 restart x.service'],
  ],
  [
    'docker',
    { condition: { 1: { docker: undefined, swarm: undefined } } },
    ['docker-down hive1 → hivecoord node unit hive1 start docker.service + start docker on hive1'],
  ],
  [
    'two of three managers',
    { host: { 1: { ...away, power: 'halted' }, 2: { ...away, ssh: false } }, condition: { 0: { swarm: undefined } } },
    ['swarm-no-majority hive0,hive1,hive2', 'host-off hive1 → hivecoord start', 'host-unreachable hive2'],
  ],
  ['no leader', { swarm: { nodes: [0, 1, 2].map((i) => node(i, { leader: false })) } }, ['swarm-no-leader']],
  [
    'a node that is called down',
    { swarm: { nodes: [node(0), node(1, { state: 'down' }), node(2)], tasks: [task(0), task(2), task(1, { node: 'hive2' })] } },
    ['node-down hive1 → hivecoord node unit hive1 restart docker.service'],
  ],
  ['a drained node', { swarm: { nodes: [node(0), node(1, { availability: 'drain' }), node(2)] } }, ['node-drained hive1 → hivecoord host undrain hive1']],
  [
    'work that was killed',
    { swarm: { nodes: [node(0), node(1, { availability: 'drain', labels: { hives: 'true', 'hive.reboot': 'run boot active hive1' } }), node(2)] } },
    ['work-left hive1 → hivecoord host undrain hive1'],
  ],
  [
    'a drill that was killed',
    { swarm: { nodes: [node(0), node(1, { labels: { hives: 'true', 'hive.reboot': 'drill-run boot active hive1' } }), node(2)] } },
    ['work-left hive1 → hivecoord drill failover --undo'],
  ],
  [
    'a node twice',
    { swarm: { nodes: [node(0), node(1), node(1, { id: 'old', state: 'down', role: 'worker' }), node(2)] } },
    [`node-twice hive1 → hivecoord call hive0 SwarmService/RemoveNode '{"node": "old", "force": true}'`],
  ],
  [
    'a node that left',
    { swarm: { nodes: [node(0), node(2)], tasks: [task(0), task(2), task(1, { node: 'hive0' })] } },
    ['node-missing hive1 → hivecoord setup-hosts'],
  ],
  [
    'a node that somebody works on',
    { swarm: { nodes: [node(0), node(1, { availability: 'drain' }), node(2)] }, condition: { 0: { lock: held('alive') } } },
    [],
  ],
  ['labels', { swarm: { nodes: [node(0), node(1, { labels: {} }), node(2)] } }, ['labels-missing hive1 → hivecoord setup-hosts']],
  ['a network', { swarm: { networks: [] } }, ['network-missing → hivecoord build-networks']],
  ['a service', { swarm: { services: [], tasks: [] } }, ['service-missing → hivecoord deploy-services --limit web']],
  [
    'a task',
    { swarm: { tasks: [task(0), task(1), task(2, { state: 'failed', desiredState: 'shutdown', error: 'task: non-zero exit (1)' })] } },
    ['service-behind → hivecoord deploy-services --limit web'],
  ],
  ['all tasks', { swarm: { tasks: [] } }, ['service-down → hivecoord deploy-services --limit web']],
  [
    'a place',
    {
      swarm: {
        services: [web({ constraints: ['node.labels.x==y'] })],
        tasks: [task(0, { node: '', state: 'pending', error: 'no suitable node (scheduling constraints)' })],
      },
    },
    ['placement-impossible → hivecoord setup-hosts'],
  ],
  ['an image', { condition: { 2: { images: [] } } }, ['image-missing hive2 → hivecoord deploy-services --limit web']],
  ['images that are not known', { condition: { 2: { images: [], unlooked: [{ what: 'images', why: 'late' }] } } }, ['unlooked hive2']],
  ['an agent that does not tell', { host: { 1: { condition: undefined, agentVersion: '1.0.0', error: 'timeout' } } }, ['unlooked hive1']],
  [
    'an address on two hosts',
    { condition: { 0: { follower: follower('10.0.0.9', now) }, 2: { follower: follower('10.0.0.9', now) } } },
    ['follower hive0,hive2 → hivecoord node unit hive2 restart hive-agent.service'],
  ],
  [
    'a follower that hears nothing',
    { condition: { 1: { follower: follower('10.0.0.9', ago(1)) } } },
    ['follower hive1 → hivecoord node unit hive1 restart hive-agent.service'],
  ],
  ['an image where it is not wanted', { condition: { 2: { images: [] } }, swarm: { services: [web({ constraints: ['node.hostname!=hive2'] })] } }, []],
  [
    'a label of a service',
    {
      condition: {
        1: { follower: { addresses: [], rules: [], marks: [], problems: [{ service: 'web', label: 'HIVE_VIP', message: 'no link' }], heard: now } },
      },
    },
    ['follower hive1'],
  ],
  ['rules of the firewall', { condition: { 1: { firewall: ['IPv4: HIVE is missing'] } } }, ['firewall-off hive1 → hivecoord setup-hosts --limit hive1']],
  ['a revocation', { condition: { 1: { refused: [] } } }, ['revocation-unheard hive1 → hivecoord cert revoke']],
  ['a certificate', { condition: { 1: { certificateExpires: later(3) } } }, ['certificate-ending hive1 → hivecoord cert rotate hive1']],
  ['a certificate at its end', { condition: { 1: { certificateExpires: ago(1) } } }, ['certificate-ended hive1 → hivecoord cert rotate hive1']],
  ['the CA', { site: { certificates: { revoked: [], authorityEnds: later(20) } } }, ['certificate-ending → hivecoord cert rotate --ca']],
  [
    'logs',
    { condition: { 1: { logs: { unit: 'l', active: 'failed', waitingBytes: 0n } } } },
    ['logs-not-collected hive1 → hivecoord node unit hive1 start l + start l on hive1'],
  ],
  ['logs that wait', { condition: { 1: { logs: { unit: 'l', active: 'active', waitingBytes: 200_000_000n } } } }, ['logs-not-collected hive1']],
  ['the registry', { condition: { 3: { registry: { problem: 'ECONNREFUSED' } } } }, ['registry-away hive3 → hivecoord setup-hosts --limit hive3']],
  ['a lock', { condition: { 0: { lock: held('dead') }, 1: { lock: held('dead') } } }, ['lock-left hive0,hive1']],
  ['a lock of somebody who lives', { condition: { 0: { lock: held('alive') } } }, []],
  ['an old backup', { condition: { 3: { backups: backups({ lastSuccess: ago(30) }) } } }, ['backup-old hive3 → hivecoord backup run db']],
  ['a backup that failed', { condition: { 3: { backups: backups({ lastFailure: ago(2) }) } } }, ['backup-failed hive3 → hivecoord backup run db']],
  ['a backup never restored', { condition: { 3: { backups: backups({ proven: ago(24 * 100) }) } } }, ['backup-unproven hive3 → hivecoord backup drill db']],
  [
    'a hold',
    { condition: { 1: { supervisor: { hold: { by: 'a', reason: 'r', since: now, until: undefined }, givenUp: [], evidence: [], looked: now, doing: '' } } } },
    ['supervisor-held hive1 → hivecoord hold release hive1'],
  ],
  [
    'a supervisor that gave up',
    {
      condition: {
        1: { supervisor: { hold: undefined, givenUp: [{ volume: 'v', signature: 's', since: now, why: 'w' }], evidence: [], looked: now, doing: '' } },
      },
    },
    ['supervisor-gave-up hive1 → hivecoord hold release hive1'],
  ],
  [
    'an alert',
    { site: { alerts: [{ host: 'hive1.site', name: 'load', severity: 4, since: now, acknowledged: false, suppressed: false }] } },
    ['alerts hive1 → hivecoord zabbix'],
  ],
  [
    'what planned work keeps back',
    { site: { alerts: [{ host: 'hive1.site', name: 'load', severity: 4, since: now, acknowledged: false, suppressed: true }] } },
    [],
  ],
  ['disks that do not answer', { condition: { 1: { unlooked: [{ what: 'disks', why: 'no answer within 15 s' }] } } }, ['unlooked hive1']],
]

suite('what is wrong with a stage', () => {
  for (const [what, broken, expected] of cases) test(what, () => assert.deepEqual(findings(site(broken)).map(told), expected))

  test('each state of the site is found by one of these', () => {
    const found = new Set(cases.flatMap(([, broken]) => findings(site(broken)).map(({ state }) => state)))
    assert.deepEqual(
      Object.keys(siteStates).filter((state) => !found.has(state as keyof typeof siteStates)),
      [],
    )
    assert.deepEqual(
      Object.keys(siteStates).filter((state) => state in states),
      [],
    )
  })

  test('the reason of a service that is behind is its last failure', () => {
    const [first] = findings(
      site({
        swarm: {
          tasks: [
            task(0),
            task(1),
            task(2, { state: 'failed', desiredState: 'shutdown', error: 'older', since: ago(5) }),
            task(2, { id: 'x', state: 'rejected', desiredState: 'shutdown', error: 'wrong medium type', since: ago(2) }),
            task(2, { id: 'y', state: 'preparing' }),
          ],
        },
      }),
    )
    assert.equal(first?.title, 'web runs with 2 of 3: on hive2 it was rejected: wrong medium type')
    assert.deepEqual(first?.evidence, ['preparing on hive2'])
  })

  test('faults together are all told, the gravest first, each with a way out', () => {
    const part = fc.constantFrom(...cases.map(([, broken]) => broken))
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        const of = <T extends object>(pick: (broken: Broken) => T | undefined): T => Object.assign({}, pick(a), pick(b), pick(c)) as T
        const found = findings(
          site({
            host: of(({ host }) => host),
            condition: of(({ condition }) => condition),
            swarm: of(({ swarm }) => swarm),
            site: of(({ site: one }) => one),
          }),
        )
        const ranks = found.map(({ state }) => rankOf(state))
        assert.deepEqual(ranks, ranks.toSorted())
        for (const { state, title, command, advice, repair } of found) {
          assert.ok(title !== '')
          assert.ok(command !== '' || advice !== '' || repair !== undefined || ['follower', 'unlooked'].includes(state), `${state} has a way out`)
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('docs/doctor.md has every state of the site, and no other', () => {
  const text = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')
  const named = (text.match(/^\| `[^|]*/gm) ?? []).flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''))
  assert.deepEqual(named.toSorted(), Object.keys(siteStates).toSorted())
})
