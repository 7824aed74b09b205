/** What differs is told by host and service; what the inventory does not know is told, and nothing that is none of the site's. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type Drift, driftOf, grouped, kindOf } from '../../../coordinator/drift/drift.ts'
import { keepDrift, lastDrift } from '../../../coordinator/drift/last-drift.ts'
import { type Stranger, type StrangersInput, strangersOf } from '../../../coordinator/drift/strangers.ts'
import type { PhaseName, PlannedStep } from '../../../coordinator/events.ts'
import type { PhaseReport } from '../../../coordinator/run/deploy.ts'

const now = new Date('2026-11-26T12:00:00Z')
const step = (phase: PhaseName, stepId: string, host: string, outcome: PlannedStep['outcome']): PlannedStep => ({ phase, stepId, host, title: stepId, outcome })
const change = { kind: 'change', reason: 'differs', before: 'red', after: 'blue', disruption: 0 } as const
const report = (phase: PhaseName, steps: readonly PlannedStep[], given: Partial<PhaseReport> = {}): PhaseReport => ({
  phase,
  steps,
  unreachable: [],
  planCalls: 1,
  notices: [],
  errors: [],
  unknown: undefined,
  ...given,
})

suite('drift', () => {
  test('a difference is of its service or its host, with what it should be and is', () => {
    const drift = driftOf(
      [
        report('setup-hosts', [step('setup-hosts', 'setup-hosts/hosts-file@h1', 'h1', change), step('setup-hosts', 'setup-hosts/web@h1', 'h1', change)]),
        report('deploy-services', [
          step('deploy-services', 'deploy-services/web@h0', 'h0', change),
          step('deploy-services', 'deploy-services/image-web@h0', 'h0', { kind: 'ok' }),
        ]),
      ],
      [],
      ['web'],
      now,
    )
    assert.deepEqual(
      [...grouped(drift.differences)].map(([whose, all]) => [whose, all.map(({ step: id }) => id)]),
      [
        ['service web', ['deploy-services/web@h0']],
        ['h1', ['setup-hosts/hosts-file@h1', 'setup-hosts/web@h1']],
      ],
    )
    assert.partialDeepStrictEqual(drift.differences[0], { wanted: 'blue', actual: 'red', reason: 'differs', host: 'h1' })
    assert.equal(kindOf(drift), 'some')
  })

  test('what can not be compared is no drift, and is told', () => {
    const blocked = { kind: 'blocked', reason: 'no lvm', hint: '' } as const
    const drift = driftOf(
      [
        report('setup-hosts', [step('setup-hosts', 'a', 'h1', blocked)], { unreachable: ['h2'] }),
        report('build-images', [], { unknown: 'known once the hosts answer' }),
      ],
      [],
      [],
      now,
    )
    assert.deepEqual(drift.unknown, ['build-images: known once the hosts answer', 'h1: a: no lvm'])
    assert.deepEqual(drift.unreachable, ['h2'])
    assert.equal(kindOf(drift), 'unknown')
    assert.equal(kindOf(driftOf([report('setup-hosts', [step('setup-hosts', 'a', 'h', { kind: 'ok' })])], [], [], now)), 'none')
  })

  test('the last one is kept; a damaged one counts as none', (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'hive-drift-'))
    context.after(() => rmSync(folder, { recursive: true }))
    assert.equal(lastDrift(folder), undefined)
    const drift: Drift = driftOf([report('setup-hosts', [step('setup-hosts', 'a', 'h', change)])], [], [], now)
    keepDrift(folder, drift)
    assert.deepEqual(lastDrift(folder), drift)
    keepDrift(join(folder, 'nowhere'), drift)
    assert.equal(lastDrift(join(folder, 'nowhere')), undefined)
    for (const text of ['{', '[]', '{"at": 1}', '{"at":"x","differences":[]}']) {
      writeFileSync(join(folder, 'drift.json'), text)
      assert.equal(lastDrift(folder), undefined)
    }
  })
})

const known = { services: ['web'], networks: ['front'], volumes: ['data'], hosts: ['h0', 'h1'], holdsKernel: true }
const told = ({ kind, name, hosts }: Stranger): string => `${kind} ${name} ${hosts.join(',')}`.trim()

suite('what the inventory does not know', () => {
  test('services, networks, mirrored volumes, certificates and holds of the site', () => {
    const input: StrangersInput = {
      known: { ...known, holdsKernel: false },
      swarm: {
        services: [
          { name: 'web', labels: {} },
          { name: 'old', labels: { HIVE_STANDALONE: 'False' } },
          { name: 'own', labels: {} },
        ],
        networks: [
          { name: 'front', driver: 'overlay', ingress: false },
          { name: 'ingress', driver: 'overlay', ingress: true },
          { name: 'back', driver: 'overlay', ingress: false },
        ],
      },
      hosts: [
        {
          name: 'h0',
          volumes: [
            { name: 'data', options: { device: '/dev/drbd1' } },
            { name: 'gone', options: { device: '/dev/drbd2' } },
            { name: 'mine', options: {} },
          ],
          mirrored: ['data', 'gone'],
          heldPackages: ['linux-image-amd64', 'vim'],
        },
        { name: 'h1', volumes: [], mirrored: ['gone'], heldPackages: ['linux-image-amd64'] },
      ],
      agents: ['h0', 'h9', 'h9'],
      manager: 'h0',
    }
    const found = strangersOf(input)
    assert.deepEqual(found.map(told), ['service old', 'service own', 'network back', 'volume gone h0,h1', 'certificate h9', 'package linux-image-amd64 h0,h1'])
    assert.equal(found.find(({ kind }) => kind === 'volume')?.command, 'hivecoord volume delete gone')
    assert.match(found.find(({ name }) => name === 'own')?.because ?? '', /other means/)
    assert.deepEqual(
      strangersOf({ ...input, known }).filter(({ kind }) => kind === 'package'),
      [],
    )
  })

  test('what the inventory has is never told, nor a volume without a sign of the site', () => {
    const name: fc.Arbitrary<string> = fc.constantFrom('a', 'b', 'c', 'd')
    const names = fc.uniqueArray(name)
    const device = fc.constantFrom('', 'tmpfs', '/dev/drbd3', '/dev/sdb', '/var/lib/hive/mirrored/x')
    fc.assert(
      fc.property(names, names, names, names, fc.array(fc.record({ name, device })), (services, networks, volumes, present, docker) => {
        const found = strangersOf({
          known: { services, networks, volumes, hosts: services, holdsKernel: true },
          swarm: {
            services: present.map((one) => ({ name: one, labels: {} })),
            networks: present.map((one) => ({ name: one, driver: 'overlay', ingress: false })),
          },
          hosts: [{ name: 'h', volumes: docker.map((one) => ({ name: one.name, options: { device: one.device } })), mirrored: [], heldPackages: ['kernel*'] }],
          agents: present,
          manager: 'h',
        })
        const of = (kind: Stranger['kind']) => found.filter((one) => one.kind === kind).map((one) => one.name)
        assert.deepEqual(
          of('service'),
          present.filter((one) => !services.includes(one)),
        )
        assert.deepEqual(
          of('network'),
          present.filter((one) => !networks.includes(one)),
        )
        assert.deepEqual(
          of('certificate'),
          present.filter((one) => !services.includes(one)),
        )
        assert.deepEqual(of('package'), [])
        for (const volume of of('volume')) {
          assert.ok(!volumes.includes(volume))
          assert.ok(docker.some((one) => one.name === volume && /^\/dev\/drbd|mirrored/.test(one.device)))
        }
      }),
    )
  })
})
