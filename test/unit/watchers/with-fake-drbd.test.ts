import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { hasHelped } from '../../../agent/watchers/failover/carry-out.ts'
import type { Picture } from '../../../agent/watchers/failover/picture.ts'
import type { Action } from '../../../agent/watchers/failover/signatures.ts'
import { afterAction, emptyMemory, type Memory, superviseOnce } from '../../../agent/watchers/failover/supervise.ts'
import { FakeCluster } from '../../fake-drbd/cluster.ts'
import { dockerOf, majority, mountOf } from './pictures.ts'

const hosts = ['hive0', 'hive1', 'hive2'] as const
type Host = (typeof hosts)[number]
const mountPoint = '/mnt'

/** Three hosts on the fake DRBD, each with a supervisor that looks every five seconds. */
class Site {
  readonly cluster = new FakeCluster({ hosts })
  readonly acted: string[] = []
  readonly #memories = new Map<Host, Memory>(hosts.map((host) => [host, emptyMemory()]))
  readonly #logs = new Map<string, string[]>()
  readonly #mounted = new Set<Host>()
  #now = 0

  constructor() {
    for (const host of hosts) {
      this.cluster.event({ kind: 'disk', host, path: '/dev/vg/data', sizeKib: 262_144, empty: true }, 0)
      this.cluster.event({ kind: 'create-metadata', host, path: '/dev/vg/data', maxPeers: 7 }, 0)
      this.up(host)
    }
    this.pass(3_000)
    this.run('hive0', 'new-current-uuid', '--clear-bitmap', '1')
    assert.ok(hosts.every((host) => this.status(host).devices[0]?.diskState === 'UpToDate'))
  }

  run(host: Host, ...argv: string[]): void {
    const { code, stderr } = this.cluster.host(host).run(argv, { now: this.#now })
    assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`)
  }

  up(host: Host): void {
    const id = hosts.indexOf(host)
    const address = (node: number): string => `ipv4:192.0.2.${node + 1}:7001`
    this.run(host, 'new-resource', 'data', String(id), '--quorum=majority', '--on-no-quorum=io-error')
    this.run(host, 'new-minor', 'data', '1', '0')
    for (const [peer, name] of hosts.entries()) {
      if (peer === id) continue
      this.run(host, 'new-peer', 'data', String(peer), `--_name=${name}`, '--protocol=C')
      this.run(host, 'new-path', 'data', String(peer), address(id), address(peer))
    }
    this.run(host, 'attach', '1', '/dev/vg/data', '/dev/vg/data', 'internal')
    for (const peer of hosts.keys()) if (peer !== id) this.run(host, 'connect', 'data', String(peer))
  }

  pass(milliseconds: number): void {
    for (const until = this.#now + milliseconds; this.#now < until; ) {
      this.#now += 100
      this.cluster.tick(this.#now)
    }
    for (const { host, text } of this.cluster.takeKernelLog()) this.#logs.set(host, [...(this.#logs.get(host) ?? []), text])
  }

  mount(host: Host): void {
    const opened = this.cluster.host(host).open({ minor: 1, id: 'mount', write: true, program: 'mount', pid: 1 }, this.#now)
    assert.ok('ok' in opened, JSON.stringify(opened))
    this.#mounted.add(host)
  }

  unmount(host: Host): void {
    this.cluster.host(host).close(1, 'mount', this.#now)
    this.#mounted.delete(host)
  }

  power(host: Host, on: boolean): void {
    this.cluster.event({ kind: 'power', host, on }, this.#now)
    this.#mounted.delete(host)
    this.#memories.set(host, emptyMemory())
    this.#logs.delete(host)
  }

  status(host: Host): DrbdResourceStatus {
    const [status] = parseStatus(this.cluster.host(host).run(['status', '--json', '--statistics'], { now: this.#now }).stdout)
    assert.ok(status !== undefined)
    return status
  }

  states(host: Host): readonly string[] {
    return this.status(host).connections.map(({ name, state }) => `${name} ${state}`)
  }

  /** What all hosts' supervisors do in that time. */
  supervise(milliseconds: number): void {
    for (const until = this.#now + milliseconds; this.#now < until; this.pass(5_000))
      for (const host of hosts) if (this.cluster.state.hosts[host]?.powered === true) this.#look(host)
  }

  #look(host: Host): void {
    const { memory, action } = superviseOnce(this.#picture(host), this.#memories.get(host) ?? emptyMemory(), this.#now)
    this.#memories.set(host, memory)
    if (action === undefined) return
    this.acted.push(`${host} ${action.signature} ${action.peer}`.trimEnd())
    this.#act(host, action.action)
    this.pass(1_000)
    const after = this.#picture(host)
    const [volume] = after.volumes
    assert.ok(volume !== undefined && hasHelped(action.action, volume, after), `${action.signature} did not help on ${host}`)
    this.#memories.set(host, afterAction(memory, action, { kind: 'helped', what: '', lines: [] }, this.#now).memory)
  }

  #act(host: Host, action: Action): void {
    if (action.kind === 'demote') this.run(host, 'secondary', 'data')
    else if (action.kind === 'connect') for (const { nodeId } of action.peers) this.run(host, 'connect', 'data', String(nodeId))
    else assert.fail(`${action.kind} is not part of this`)
  }

  #picture(host: Host): Picture {
    const mounts = this.#mounted.has(host) ? [mountOf(mountPoint)] : []
    const volume = {
      name: 'data',
      status: this.status(host),
      busy: false,
      mounts,
      holders: mounts.length > 0 ? undefined : [],
      kernelLog: this.#logs.get(host) ?? [],
    }
    return { volumes: [volume], docker: dockerOf([], majority()) }
  }
}

suite('on the fake DRBD', () => {
  test('a site in order is left in order', () => {
    const site = new Site()
    site.mount('hive0')
    site.supervise(120_000)
    assert.deepEqual(site.acted, [])
  })

  test('a Primary that nobody uses is demoted, and another host can take it', () => {
    const site = new Site()
    site.run('hive0', 'primary', 'data')
    site.supervise(60_000)
    assert.deepEqual(site.acted, ['hive0 idle-primary'])
    site.mount('hive1')
    assert.equal(site.status('hive1').role, 'Primary')
  })

  test('a killed Primary that returns into the race is connected again by the survivor that hung up', () => {
    const site = new Site()
    site.mount('hive0')
    site.power('hive0', false)
    site.pass(20_000)
    site.cluster.settings.raceOnReturn = true
    site.power('hive0', true)
    site.up('hive0')
    site.pass(5_000)
    const alone = hosts.filter((host) => site.states(host).includes('hive0 StandAlone'))
    assert.equal(alone.length, 1, 'the race came about')
    site.supervise(60_000)
    assert.deepEqual(site.acted, [`${alone[0]} resync-race hive0`])
    for (const host of hosts)
      assert.ok(
        site.states(host).every((state) => state.endsWith(' Connected')),
        site.states(host).join(),
      )
  })

  test('a host that was cut off as Primary takes the data of the others once nothing uses it', () => {
    const site = new Site()
    site.mount('hive0')
    for (const other of ['hive1', 'hive2'] as const) site.cluster.event({ kind: 'link', between: ['hive0', other], up: false }, 3_000)
    site.supervise(30_000)
    site.mount('hive1')
    for (const other of ['hive1', 'hive2'] as const) site.cluster.event({ kind: 'link', between: ['hive0', other], up: true }, 40_000)
    site.supervise(60_000)
    assert.ok(
      site.states('hive0').every((state) => !state.endsWith(' Connected')),
      'it is kept out while it is Primary',
    )
    site.unmount('hive0')
    site.supervise(60_000)
    assert.ok(site.acted.includes('hive0 former-primary'), site.acted.join())
    for (const host of hosts)
      assert.ok(
        site.states(host).every((state) => state.endsWith(' Connected')),
        `${host}: ${site.states(host).join()}`,
      )
    assert.deepEqual([site.status('hive0').role, site.status('hive1').role], ['Secondary', 'Primary'])
  })
})
