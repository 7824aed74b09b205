import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { EnsureService, Port } from '#gen/hive/v1/steps_docker.ts'
import type { Service, ServiceSpec } from '../../../agent/adapters/docker/api-types.ts'
import { canonicalService, differences } from '../../../agent/adapters/docker/compare-service.ts'
import { toServiceSpec } from '../../../agent/adapters/docker/service-spec.ts'
import { full, networkNames, serviceNamed, simple } from './specs.ts'

const against = (spec: EnsureService, existing: Service) =>
  differences(canonicalService(existing.Spec, networkNames), canonicalService(toServiceSpec(spec, existing), networkNames))

suite('what docker echoes is compared with what is asked for', () => {
  test('a service made from a spec is equal to it, in whatever order lists are written', () => {
    assert.deepEqual(against(simple(), serviceNamed('simple')), [])
    assert.deepEqual(against(full(), serviceNamed('full')), [])
  })

  test('a service made by docker’s command line is adopted without change', () => {
    const spec = full({
      name: 'cli',
      image: 'tiny:1',
      command: [],
      args: ['sleep', '1000'],
      environment: { A: '1', B: '2' },
      dns: [],
      hosts: { 's-hive0.pdns': '10.77.0.11' },
      constraints: ['node.labels.hives == true'],
      preferences: [],
      ports: [Port.fromPartial({ target: 80, published: 8080, protocol: 'tcp', mode: 'host' })],
      mounts: full().mounts.filter((mount) => mount.type === 'volume'),
      labels: { HIVE_STANDALONE: 'False' },
      healthcheck: { test: ['CMD-SHELL', 'true'], intervalNs: 5_000_000_000n, timeoutNs: 0n, startPeriodNs: 0n, retries: 0 },
      user: '',
      workingDir: '',
      capDrop: [],
      sysctls: {},
    })
    delete spec.logging
    delete spec.restartPolicy
    delete spec.stopGracePeriodNs
    delete spec.replicas
    assert.deepEqual(against(spec, serviceNamed('cli')), [])
  })

  test('a change of labels or replicas restarts nothing, other changes do', () => {
    assert.deepEqual(
      against(full({ labels: {}, replicas: 3 }), serviceNamed('full')).map(({ field, restarts }) => [field, restarts]),
      [
        ['labels', false],
        ['replicas', false],
      ],
    )
    assert.deepEqual(
      against(full({ image: 'tiny:3', user: '1' }), serviceNamed('full')).map(({ field, restarts }) => [field, restarts]),
      [
        ['image', true],
        ['user', true],
      ],
    )
  })

  test('values of environment variables are not shown, their names are', () => {
    const [difference] = against(full({ environment: { A: 'hunter2', NEW: 'hunter3' } }), serviceNamed('full'))
    assert.deepEqual(difference, { field: 'environment', before: 'A, N', after: 'A (other value), NEW (new), N (gone)', restarts: true })
  })

  test('replicas that are not asked for stay as they are', () => {
    const spec = full()
    delete spec.replicas
    assert.deepEqual(against(spec, serviceNamed('full')), [])
  })

  test('how updates go is changed without a restart, and left alone where nothing is asked for', () => {
    const updatePolicy = { parallelism: 2, delayNs: 0n, failureAction: 'rollback', monitorNs: 5_000_000_000n, maxFailureRatio: 0, order: 'stop-first' }
    assert.deepEqual(against(simple({ updatePolicy }), serviceNamed('simple')), [
      {
        field: 'update policy',
        before: '1 at a time after 0 s, watched for 5 s, on failure pause above 0, stop-first',
        after: '2 at a time after 0 s, watched for 5 s, on failure rollback above 0, stop-first',
        restarts: false,
      },
    ])
    const existing = serviceNamed('simple')
    const set = { ...existing, Spec: { ...existing.Spec, UpdateConfig: toServiceSpec(simple({ updatePolicy })).UpdateConfig ?? null } }
    assert.deepEqual(against(simple(), set), [])
    assert.deepEqual(against(simple({ updatePolicy }), set), [])
  })

  test('forced restarts made by hand are kept', () => {
    const existing = serviceNamed('simple')
    const restarted = { ...existing, Spec: { ...existing.Spec, TaskTemplate: { ...existing.Spec.TaskTemplate, ForceUpdate: 4 } } }
    assert.deepEqual(against(simple(), restarted), [])
    assert.equal(toServiceSpec(simple(), restarted).TaskTemplate.ForceUpdate, 4)
  })

  test('a tag that means something else now replaces the tasks; one that nobody noted or can tell does not', () => {
    const compare = (before: string, after: string): string[] =>
      differences(
        canonicalService(toServiceSpec(simple({ imageDigest: before })), networkNames),
        canonicalService(toServiceSpec(simple({ imageDigest: after })), networkNames),
      ).map(({ field, restarts }) => `${field} ${restarts}`)
    assert.deepEqual(compare('sha256:a', 'sha256:b'), ['image digest true'])
    assert.deepEqual(compare('sha256:a', 'sha256:a'), [])
    assert.deepEqual(compare('', 'sha256:b'), [])
    assert.deepEqual(compare('sha256:a', ''), [])
  })

  test('a digest that was pinned beside the tag is the same image', () => {
    const existing = serviceNamed('simple')
    const pinned = {
      ...existing.Spec,
      TaskTemplate: {
        ...existing.Spec.TaskTemplate,
        ContainerSpec: { ...existing.Spec.TaskTemplate.ContainerSpec, Image: `docker.io/library/tiny:1@sha256:${'a'.repeat(64)}` },
      },
    }
    assert.deepEqual(against(simple(), { ...existing, Spec: pinned }), [])
  })
})

const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/)
const map = fc.dictionary(word, fc.string(), { maxKeys: 4 })
const nanoseconds = fc.bigInt(0n, 10_000_000_000n)
const anySpec: fc.Arbitrary<EnsureService> = fc
  .record(
    {
      name: word,
      image: fc.tuple(word, word).map(([name, tag]) => `${name}:${tag}`),
      command: fc.array(fc.string()),
      args: fc.array(fc.string()),
      environment: map,
      labels: map,
      hosts: fc.dictionary(word, fc.ipV4(), { maxKeys: 4 }),
      constraints: fc.array(word),
      networks: fc.uniqueArray(word),
      ports: fc.array(
        fc.record({
          target: fc.nat(65535),
          published: fc.nat(65535),
          protocol: fc.constantFrom('', 'tcp', 'udp'),
          mode: fc.constantFrom('', 'ingress', 'host'),
        }),
      ),
      mode: fc.constantFrom('replicated', 'global'),
      endpointMode: fc.constantFrom('', 'vip', 'dnsrr'),
      replicas: fc.nat(5),
      capAdd: fc.uniqueArray(fc.constantFrom('NET_ADMIN', 'CAP_SYS_ADMIN', 'chown')),
      cpuLimit: fc.constantFrom(0, 0.1, 0.25, 2),
      memoryLimitBytes: nanoseconds,
      cpuReservation: fc.constantFrom(0, 0.1, 2),
      memoryReservationBytes: nanoseconds,
      updatePolicy: fc.record({
        parallelism: fc.nat(3),
        delayNs: nanoseconds,
        failureAction: fc.constantFrom('pause', 'continue', 'rollback'),
        monitorNs: nanoseconds,
        maxFailureRatio: fc.constantFrom(0, 0.5, 1),
        order: fc.constantFrom('stop-first', 'start-first'),
      }),
      stopGracePeriodNs: nanoseconds,
      restartPolicy: fc.record({ condition: fc.constantFrom('', 'any', 'none', 'on-failure'), delayNs: nanoseconds, maxAttempts: fc.nat(3) }),
    },
    { requiredKeys: ['name', 'image', 'mode'] },
  )
  .map((partial) => EnsureService.fromPartial(partial))

/** As docker 20.10 gives a spec back: empty parts gone, some parts added, names of networks turned into ids. */
function echoed(spec: ServiceSpec, ids: ReadonlyMap<string, string>): ServiceSpec {
  const { TaskTemplate } = JSON.parse(JSON.stringify(spec)) as ServiceSpec
  return {
    ...spec,
    TaskTemplate: {
      ...TaskTemplate,
      ContainerSpec: {
        ...TaskTemplate.ContainerSpec,
        Env: [...(TaskTemplate.ContainerSpec?.Env ?? [])].reverse(),
        DNSConfig: TaskTemplate.ContainerSpec?.DNSConfig ?? {},
      },
      Networks: (TaskTemplate.Networks ?? []).map(({ Target }) => ({ Target: ids.get(Target ?? '') ?? '' })).reverse(),
      ForceUpdate: 0,
    },
    EndpointSpec: { ...spec.EndpointSpec, Ports: [...(spec.EndpointSpec?.Ports ?? [])].reverse() },
  }
}

test('whatever is asked for is equal to what docker gives back of it', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const ids = new Map(spec.networks.map((name, index) => [name, `id${index}`]))
      const names = new Map([...ids].map(([name, id]) => [id, name]))
      const existing: Service = { ID: 'x', Version: { Index: 1 }, CreatedAt: '', UpdatedAt: '', Spec: echoed(toServiceSpec(spec), ids) }
      assert.deepEqual(differences(canonicalService(existing.Spec, names), canonicalService(toServiceSpec(spec, existing), names)), [])
    }),
    { numRuns: 200 },
  )
})
