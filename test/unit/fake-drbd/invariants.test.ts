/** Whatever fails and is repaired, in any order: what the real DRBD guarantees holds for the fake, too. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeCluster } from '../../fake-drbd/cluster.ts'
import { quorumOf } from '../../fake-drbd/quorum.ts'
import { attachedMetadata, peersOf } from '../../fake-drbd/state.ts'
import { allEnds, component, liveEnd } from '../../fake-drbd/world.ts'

const HOSTS = ['h0', 'h1', 'h2'] as const
const DISK = '/dev/vg/data'
type Host = (typeof HOSTS)[number]

class Site {
  readonly cluster: FakeCluster
  now = 1_000_000

  constructor(seed: number) {
    this.cluster = new FakeCluster({ hosts: HOSTS, seed, settings: { resyncKibPerSecond: 2_000 } })
    for (const host of HOSTS) {
      this.cluster.event({ kind: 'disk', host, path: DISK, sizeKib: 65_536 }, this.now)
      this.cluster.event({ kind: 'create-metadata', host, path: DISK, maxPeers: 7 }, this.now)
      this.up(host)
    }
    this.pass(2_000)
    this.run('h0', 'new-current-uuid', '1', '--clear-bitmap')
  }

  run(host: Host, ...argv: string[]): void {
    if (this.powered(host)) this.cluster.host(host).run(argv, { now: this.now })
  }

  powered = (host: Host): boolean => this.cluster.state.hosts[host]?.powered === true

  up(host: Host): void {
    const own = HOSTS.indexOf(host)
    const peers = [0, 1, 2].filter((id) => id !== own)
    this.run(host, 'new-resource', 'data', String(own), '--quorum=majority', '--on-no-quorum=io-error', '--auto-promote-timeout=100')
    this.run(host, 'new-minor', 'data', '1', '0')
    for (const id of peers) {
      this.run(host, 'new-peer', 'data', String(id), `--_name=h${id}`, '--verify-alg=crc32c')
      this.run(host, 'new-path', 'data', String(id), `ipv4:10.0.0.${own}:7001`, `ipv4:10.0.0.${id}:7001`)
    }
    this.run(host, 'attach', '1', DISK, DISK, 'internal', '--on-io-error=detach')
    this.connect(host)
  }

  connect(host: Host): void {
    for (const id of [0, 1, 2]) this.run(host, 'connect', 'data', String(id))
  }

  pass(ms: number): void {
    this.now += ms
    this.cluster.tick(this.now)
  }
}

type Move = { act: string; host: Host; other: Host; ms: number }

const ACTS: Record<string, (site: Site, move: Move) => void> = {
  pass: (site, { ms }) => site.pass(ms),
  mount: (site, { host }) => {
    if (!site.powered(host)) return
    const since = site.now
    let opening = site.cluster.host(host).open({ minor: 1, id: 'mount', write: true, program: 'mount', pid: 1 }, site.now)
    while ('again' in opening) {
      site.now = opening.again
      opening = site.cluster.host(host).open({ minor: 1, id: 'mount', write: true, program: 'mount', pid: 1 }, site.now, since)
    }
  },
  umount: (site, { host }) => site.powered(host) && site.cluster.host(host).close(1, 'mount', site.now),
  write: (site, { host, ms }) => site.cluster.event({ kind: 'write', host, minor: 1, kib: ms }, site.now),
  kill: (site, { host }) => site.cluster.event({ kind: 'power', host, on: false }, site.now),
  boot: (site, { host }) => {
    if (site.powered(host)) return
    site.cluster.event({ kind: 'power', host, on: true }, site.now)
    site.up(host)
  },
  cut: (site, { host, other }) => host !== other && site.cluster.event({ kind: 'link', between: [host, other], up: false }, site.now),
  isolate: (site, { host }) => {
    for (const other of HOSTS) if (other !== host) site.cluster.event({ kind: 'link', between: [host, other], up: false }, site.now)
  },
  join: (site) => {
    for (const [a, b] of [
      ['h0', 'h1'],
      ['h0', 'h2'],
      ['h1', 'h2'],
    ] as const)
      site.cluster.event({ kind: 'link', between: [a, b], up: true }, site.now)
  },
  down: (site, { host }) => site.run(host, 'down', 'data'),
  up: (site, { host }) => site.up(host),
  connect: (site, { host }) => site.connect(host),
  disconnect: (site, { host, other }) => site.run(host, 'disconnect', 'data', other.slice(1)),
  detach: (site, { host }) => site.run(host, 'detach', '1'),
  attach: (site, { host }) => site.run(host, 'attach', '1', DISK, DISK, 'internal'),
  primary: (site, { host }) => site.run(host, 'primary', 'data'),
  secondary: (site, { host }) => site.run(host, 'secondary', 'data'),
  verify: (site, { host, other }) => site.run(host, 'verify', 'data', other.slice(1), '0'),
  invalidate: (site, { host }) => site.run(host, 'invalidate', '1'),
}

const moves = fc.array(
  fc.record({
    act: fc.constantFrom(...Object.keys(ACTS)),
    host: fc.constantFrom(...HOSTS),
    other: fc.constantFrom(...HOSTS),
    ms: fc.integer({ min: 10, max: 30_000 }),
  }),
  { minLength: 1, maxLength: 40 },
)

/** What must hold at any time. */
function check(site: Site, when: string): void {
  const { state } = site.cluster
  for (const host of Object.values(state.hosts)) {
    const resource = host.resources['data']
    if (resource?.device === undefined) continue
    const together = component(state, { host, resource })
    const primaries = together.filter((member) => member.resource.role === 'Primary')
    assert.ok(primaries.length <= 1, `${when}: two Primaries hang together`)
    assert.equal(resource.device.quorum, quorumOf(host, resource).has, `${when}: ${host.name} knows its quorum`)
    const meta = attachedMetadata(host, resource)
    if (resource.device.disk === 'UpToDate' || resource.device.disk === 'Outdated')
      assert.ok(meta?.consistent, `${when}: ${host.name} was in sync and its metadata says so`)
    if (resource.device.disk === 'Inconsistent') assert.equal(meta?.consistent, false, `${when}: ${host.name} is Inconsistent and its metadata says so`)
    for (const peer of peersOf(resource)) {
      if (peer.state !== 'Connected') assert.equal(peer.replication, 'Off', `${when}: no replication without a connection`)
    }
  }
  for (const end of allEnds(state)) {
    const other = liveEnd(state, end)
    if (other === undefined) continue
    const copies = [end, other].map((one) => ({ disk: one.resource.device?.disk, meta: attachedMetadata(one.host, one.resource) }))
    if (copies.every((copy) => copy.disk === 'UpToDate') && end.peer.replication === 'Established') {
      assert.equal(
        copies[0]?.meta?.current,
        copies[1]?.meta?.current,
        `${when}: ${end.host.name} and ${other.host.name} are both up to date and hold the same generation`,
      )
    }
    if (end.peer.replication === 'SyncTarget') assert.equal(other.peer.replication, 'SyncSource', `${when}: a target has its source`)
    assert.equal(end.peer.role, other.resource.role, `${when}: ${end.host.name} knows the role of ${other.host.name}`)
    assert.equal(end.peer.disk, other.resource.device?.disk ?? 'Diskless', `${when}: ${end.host.name} knows the disk of ${other.host.name}`)
  }
}

describe('the fake DRBD under faults and repairs in any order', () => {
  it('keeps one Primary, an honest UpToDate and the quorum rule', () => {
    fc.assert(
      fc.property(moves, fc.integer({ min: 1, max: 1_000_000 }), (list, seed) => {
        const site = new Site(seed)
        for (const [index, move] of list.entries()) {
          ACTS[move.act]?.(site, move)
          site.pass(1)
          check(site, `${index} ${move.act} ${move.host}`)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('with quorum, repairs bring every copy back without anybody’s choice of data', () => {
    fc.assert(
      fc.property(moves, fc.integer({ min: 1, max: 1_000_000 }), (list, seed) => {
        const site = new Site(seed)
        for (const move of list) ACTS[move.act]?.(site, move)
        const repair = (act: string): void => {
          for (const host of HOSTS) ACTS[act]?.(site, { act, host, other: host, ms: 0 })
          site.pass(3_000)
        }
        for (const act of ['umount', 'secondary', 'join', 'boot']) repair(act)
        site.pass(30_000)
        for (let round = 0; round < 3; round++) for (const act of ['up', 'attach', 'connect']) repair(act)
        site.pass(200_000)
        assert.deepEqual(
          HOSTS.map((host) => site.cluster.state.hosts[host]?.resources['data']?.device?.disk),
          ['UpToDate', 'UpToDate', 'UpToDate'],
        )
      }),
      { numRuns: 40 },
    )
  })

  it('goes on from a state that was written down as from the state itself', () => {
    fc.assert(
      fc.property(moves, fc.integer({ min: 1, max: 1_000_000 }), (list, seed) => {
        const site = new Site(seed)
        const half = Math.floor(list.length / 2)
        for (const move of list.slice(0, half)) ACTS[move.act]?.(site, move)
        const copy = new Site(seed)
        copy.cluster.restore(site.cluster.snapshot())
        copy.now = site.now
        for (const move of list.slice(half)) for (const one of [site, copy]) ACTS[move.act]?.(one, move)
        assert.equal(copy.cluster.snapshot(), site.cluster.snapshot())
      }),
      { numRuns: 15 },
    )
  })
})
