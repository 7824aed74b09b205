import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { contains, formatNetwork4, hostRange, parseNetwork4, splitInternal } from '../../../coordinator/inventory/addresses.ts'
import { type Allocations, allocate } from '../../../coordinator/inventory/allocations.ts'
import { readServices, type ServiceDefinition } from '../../../coordinator/inventory/definitions.ts'
import { planHosts } from '../../../coordinator/inventory/hosts.ts'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { isMapping } from '../../../coordinator/inventory/mapping.ts'
import { readPersistents, updatePersistents } from '../../../coordinator/inventory/persistents.ts'
import { Findings } from '../../../coordinator/inventory/problems.ts'
import { readStage } from '../../../coordinator/inventory/stages.ts'
import { readYaml } from '../../../coordinator/inventory/yaml-source.ts'
import { hive, problemsOf, services, siteFolder } from './site-folder.ts'

const definitionsOf = (names: readonly string[]): readonly ServiceDefinition[] => {
  const findings = new Findings()
  const body = names.map(
    (name) =>
      `s${name}:\n  image: a\n  ports: ["${1000 + Number(name)}"]\n  volumes: [{source: v${name}, target: /d, type: volume, drbd: {size: 1G, fstype: xfs}}]\n`,
  )
  const content = readYaml(services(body.join('')), 's.yml', findings)
  const found = new Map<string, ServiceDefinition>()
  if (isMapping(content)) readServices('s.yml', content, found, new Map(), findings)
  assert.deepEqual(findings.problems, [])
  return [...found.values()]
}
const none: Allocations = { devices: {}, ports: {} }
const names = fc.uniqueArray(fc.integer({ min: 0, max: 60 }).map(String), { minLength: 1, maxLength: 25 })

describe('allocation', () => {
  test('never moves what it gave, whatever is inserted, removed or reordered', () => {
    fc.assert(
      fc.property(names, names, (first, second) => {
        const before = allocate(definitionsOf(first), none, 'private', new Findings())
        const after = allocate(definitionsOf([...second, ...first.filter((name) => !second.includes(name))].reverse()), before, 'private', new Findings())
        for (const [volume, id] of Object.entries(before.devices)) assert.equal(after.devices[volume], id)
        for (const [port, published] of Object.entries(before.ports)) assert.equal(after.ports[port], published)
        for (const map of [after.devices, after.ports]) assert.equal(new Set(Object.values(map)).size, Object.keys(map).length)
      }),
      { numRuns: 40 },
    )
  })

  test('starts with the lowest numbers in file order', () => {
    assert.deepEqual(allocate(definitionsOf(['5', '3', '9']), none, 'private', new Findings()), {
      devices: { v5: 1, v3: 2, v9: 3 },
      ports: { s51005: 61001, s31003: 61002, s91009: 61003 },
    })
  })

  test('takes over what hive-builder persisted, for the stage it is for', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`a:
  image: a
  ports: ["80"]
  volumes:
  - {source: new, target: /n, type: volume, drbd: {size: 1G, fstype: xfs}}
  - {source: old, target: /o, type: volume, drbd: {size: 1G, fstype: xfs}}
`),
      '.hive/persistents.yml':
        'stage:\n  global: private\ndrbd_device_map:\n  private: {old: 1, gone: 2}\n  staging: {new: 9}\npublished_port_map:\n  private: {a80: 61007}\n',
    })
    const site = await loadSite({ root, env: {}, persist: true })
    assert.deepEqual(
      site.volumes.map((volume) => [volume.name, volume.deviceId]),
      [
        ['new', 3],
        ['old', 1],
      ],
    )
    assert.equal(site.services[0]?.ports[0]?.published, 61007)
    assert.deepEqual(readPersistents(root), {
      stage: { global: 'private' },
      drbd_device_map: { private: { old: 1, gone: 2, new: 3 }, staging: { new: 9 }, production: { old: 1, gone: 2 } },
      published_port_map: { private: { a80: 61007 }, production: { a80: 61007 } },
      allocations_per_stage: { global: true },
    })
  })

  test("a stage without numbers goes by those hive-builder kept under another, and keeps them when that one's change", async (context) => {
    const volume = (name: string): string => `  - {source: ${name}, target: /${name}, type: volume, drbd: {size: 1G, fstype: xfs}}\n`
    const root = siteFolder(context, {
      'inventory/hive.yml': `${hive}${hive.slice(hive.indexOf('  private:')).replace('private', 'production')}`,
      'inventory/s.yml': services(`a:\n  image: a\n  volumes:\n${volume('first')}${volume('second')}`),
      '.hive/persistents.yml': 'drbd_device_map:\n  private: {second: 1}\n',
    })
    const devices = async (stage: string, persist: boolean): Promise<readonly unknown[]> =>
      (await loadSite({ root, stage, env: {}, persist })).volumes.map((one) => [one.name, one.deviceId])
    const given = [
      ['first', 2],
      ['second', 1],
    ]
    assert.deepEqual(await devices('production', false), given)
    assert.match((await loadSite({ root, stage: 'production', env: {} })).notices.join(), /stored under private/)
    assert.deepEqual(await devices('private', true), given)
    assert.deepEqual(await devices('production', false), given)
    assert.doesNotMatch((await loadSite({ root, stage: 'production', env: {} })).notices.join(), /stored under/)
  })

  test('a stored number that is none is told with its place', async (context) => {
    const root = siteFolder(context, { '.hive/persistents.yml': 'drbd_device_map:\n  private:\n    a: x\n    b: 0\n' })
    assert.deepEqual(
      (await problemsOf(loadSite({ root, env: {} }))).map((problem) => `${problem.file}:${problem.line}:${problem.column}`),
      ['.hive/persistents.yml:3:8', '.hive/persistents.yml:4:8'],
    )
  })

  test('is the same whether it is stored or only shown', async (context) => {
    const root = siteFolder(context, { 'inventory/s.yml': services('a:\n  image: a\n  ports: ["80", "81"]\n') })
    const shown = await loadSite({ root, env: {} })
    const stored = await loadSite({ root, env: {}, persist: true })
    assert.deepEqual(shown.services[0]?.ports, stored.services[0]?.ports)
    assert.match(readFileSync(join(root, '.hive/persistents.yml'), 'utf8'), /a80: 61001/)
  })

  test('writers of the persisted file wait for one another', async (context) => {
    const root = siteFolder(context, {})
    await Promise.all(
      Array.from({ length: 8 }, (_, index) => updatePersistents(root, (now) => ({ next: { ...now, [`v${index}`]: { global: index } }, answer: undefined }))),
    )
    assert.equal(Object.keys(readPersistents(root)).length, 8)
  })

  test('the lock of a process that is gone does not hold', async (context) => {
    const root = siteFolder(context, {})
    mkdirSync(join(root, '.hive'))
    writeFileSync(join(root, '.hive/persistents.yml.lock'), '4194999')
    await updatePersistents(root, () => ({ next: { a: { global: 1 } }, answer: undefined }))
    assert.deepEqual(readPersistents(root), { a: { global: 1 } })
  })
})

describe('addresses', () => {
  test('are unique and usable ones of their subnets', () => {
    const subnetCount = fc.integer({ min: 0, max: 4 })
    fc.assert(
      fc.property(subnetCount, fc.integer({ min: 2, max: 40 }), (subnets, hosts) => {
        const list = Array.from({ length: subnets }, (_, index) => `{cidr: 10.0.${index}.0/27}`).join(', ')
        const findings = new Findings()
        const source = readYaml(
          `{provider: prepared, cidr: 10.0.0.0/22, number_of_hosts: ${hosts}${subnets > 0 ? `, subnets: [${list}]` : ''}}`,
          'h.yml',
          findings,
        )
        assert.ok(isMapping(source))
        const stage = readStage('private', source, 'site', findings)
        const planned = planHosts(stage, 'site', 0, findings)
        const given = planned.filter((host) => host.address !== '0.0.0.0')
        assert.equal(new Set(given.map((host) => host.address)).size, given.length)
        for (const host of given) assert.ok(contains(host.network, host.address))
        assert.equal(planned.length, hosts)
        assert.equal(given.length === hosts, findings.problems.length === 0)
      }),
      { numRuns: 60 },
    )
  })

  test("internal_cidr's parts are disjoint and inside", () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 25 }), fc.nat(0xffffff), (prefix, seed) => {
        const size = 2 ** (32 - prefix)
        const network = { base: Math.floor((10 * 2 ** 24 + seed) / size) * size, prefix }
        const parts = splitInternal(network)
        const docker0 = parts.bridgeAddress.replace(/\.(\d+)\//, (_, last: string) => `.${Number(last) - 1}/`)
        const ranges = [parts.defaultNetwork, parts.ingress.subnet, parts.gwbridge, docker0, parts.registry, parts.zabbix.subnet].map((text) => {
          const parsed = parseNetwork4(text)
          assert.ok(parsed.ok, text)
          assert.equal(formatNetwork4(parsed.value), text)
          const range = hostRange(parsed.value)
          return { first: range.first - 1, last: range.last + 1 }
        })
        let end = network.base
        for (const range of ranges) {
          assert.equal(range.first, end)
          end = range.last + 1
        }
        assert.equal(end, network.base + size)
      }),
    )
  })
})
