import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { SitePicture } from '../../../coordinator/guard/picture.ts'
import { objections } from '../../../coordinator/guard/verdict.ts'
import { weighLoss } from '../../../coordinator/guard/weigh-loss.ts'
import { assertServes, nameOf } from '../drbd/support/truth.ts'
import { anySite, host, image, node, service, shortOf, site, volume, whole } from './pictures.ts'

const without = (i: number) => ({ kind: 'host', host: nameOf(i) }) as const
const saysNo = (picture: SitePicture, i: number, why: RegExp): void => {
  const verdict = weighLoss(picture, without(i))
  assert.equal(verdict.yes, false)
  assert.match(objections(verdict).join('; '), why)
}

describe('the guard', () => {
  it('says yes to a whole site, and what is left', () => {
    const picture = site({
      services: [service('web', [0, 1], { volumes: [] }), service('db', [0], { volumes: ['data'] })],
      volumes: [volume('data', whole(0))],
    })
    const verdict = weighLoss(picture, without(0))
    assert.deepEqual(objections(verdict), [])
    assert.equal(verdict.yes, true)
    assert.deepEqual(
      verdict.reasons.map(({ severity, text }) => [severity, text]),
      [
        ['keeps', 'the swarm keeps 2 of 3 managers, and needs 2'],
        ['keeps', 'volume data: h1.site has quorum: 2 of 3 voters, 2 needed; UpToDate: h1.site, h2.site'],
        ['keeps', 'web can run on h1, h2'],
        ['keeps', 'db can run on h1, h2'],
      ],
    )
  })

  it('counts managers that are away as they count in the raft', () => {
    const one = [node(0), node(1), node(2, { state: 'down', reachability: 'unreachable' })]
    saysNo(site({ nodes: one }), 1, /would have 1 of 3 managers without h1, and needs 2/)
    assert.equal(weighLoss(site({ nodes: one }), without(2)).yes, true, 'it is away already')
    saysNo(site({ nodes: [node(0), node(1)], hosts: [host(0), host(1)] }), 0, /1 of 2 managers/)
    assert.equal(weighLoss(site({ nodes: [node(0), node(1, { role: 'worker' }), node(2, { role: 'worker' })] }), without(1)).yes, true)
    saysNo(site({ nodes: [node(0), node(1, { role: 'worker' })] }), 0, /0 of 1 managers/)
  })

  it('does not wait for swarm and DRBD to miss a host that does not answer', () => {
    const dead = [host(0), host(1), host(2, { answers: false, images: undefined })]
    saysNo(site({ hosts: dead }), 1, /would have 1 of 3 managers/)
    const picture = site({ hosts: dead, nodes: [node(0), node(1), node(2)].map((one, i) => (i === 0 ? one : { ...one, role: 'worker' })) })
    assert.equal(weighLoss({ ...picture, volumes: [volume('data', whole(0))] }, without(1)).yes, true)
    saysNo({ ...picture, volumes: [volume('data', whole(0), (i) => i !== 2)] }, 1, /volume data would have no quorum without h1/)
  })

  it('thinks of a host that does not answer and is Primary all the same', () => {
    const disks = ['UpToDate', 'UpToDate', 'Diskless', 'UpToDate', 'UpToDate']
    const up = (a: number, b: number): boolean => ['0-1', '0-2', '1-4', '2-3', '2-4'].includes([a, b].sort().join('-'))
    const truth = { ...whole(2, disks), links: disks.map((_, a) => disks.map((_other, b) => up(a, b))), had: [true, true, true, false, true] }
    const five = [0, 1, 2, 3, 4]
    const picture = site({
      hosts: five.map((i) => host(i, { answers: i !== 2 })),
      nodes: five.map((i) => node(i)),
      volumes: [volume('data', truth, (i) => i !== 2)],
    })
    saysNo(picture, 3, /volume data would have no quorum without h3: h2.site, which is Primary/)
  })

  it('counts the old node of a replaced host', () => {
    const old = node(9, { name: shortOf(1), state: 'down', reachability: 'unreachable' })
    saysNo(site({ nodes: [node(0), node(1), node(2), old] }), 1, /2 of 4 managers without h1, and needs 3/)
  })

  it('says no where nobody tells of the swarm, but for hosts outside it', () => {
    const picture = site({ nodes: undefined, services: undefined, hosts: [host(0), host(1, { isHive: false, images: undefined })] })
    saysNo(picture, 0, /no manager of the swarm answers/)
    assert.equal(weighLoss(picture, without(1)).yes, true)
    assert.equal(weighLoss(picture, { kind: 'tasks', host: nameOf(0) }).yes, false)
    assert.equal(weighLoss(picture, without(7)).yes, false, 'a host that is not known')
  })

  it('names the volume whose last copy or quorum would go', () => {
    saysNo(site({ volumes: [volume('data', whole(0, ['UpToDate', 'Inconsistent', 'Outdated']))] }), 0, /volume data would have no valid copy without h0/)
    const cut = { ...whole(0), links: [0, 1, 2].map((a) => [0, 1, 2].map((b) => a !== b && a !== 2 && b !== 2)), had: [true, true, false] }
    saysNo(site({ volumes: [volume('data', cut)] }), 1, /volume data would have no quorum without h1/)
    saysNo(site({ volumes: [volume('data', whole(0), (i) => i === 1)] }), 1, /volume data (may lose its quorum|would have no)/)
  })

  it('counts a host that leaves for good no more', () => {
    const gone = (picture: SitePicture, i: number) => weighLoss(picture, { kind: 'member', host: nameOf(i) }).yes
    const off = [node(0), node(1), node(2, { state: 'down', reachability: 'unreachable' })]
    assert.equal(gone(site({ nodes: off }), 2), true)
    assert.equal(gone(site({ nodes: off }), 1), false)
    assert.equal(gone(site({ nodes: [node(0), node(1)] }), 1), true)
    assert.equal(gone(site({ nodes: [node(0)] }), 0), false)
    assert.equal(gone(site({ volumes: [volume('data', whole(0, ['UpToDate', 'Inconsistent', 'Outdated']))] }), 0), true, 'its copy stays')
  })

  it('answers for one volume of a host as drbd down is weighed', () => {
    const broken = volume('old', whole(0, ['UpToDate', 'Inconsistent', 'Inconsistent']))
    const picture = site({ volumes: [volume('data', whole(0)), broken] })
    assert.equal(weighLoss(picture, { kind: 'volume', volume: 'data', host: nameOf(0) }).yes, true)
    assert.equal(weighLoss(picture, { kind: 'volume', volume: 'old', host: nameOf(0) }).yes, false)
  })

  it('says nothing of volumes that are to be built yet', () => {
    const none = { name: 'new', diskful: new Set([nameOf(0)]), hosts: new Map([0, 1, 2].map((i) => [nameOf(i), { status: undefined }])) }
    assert.equal(weighLoss(site({ volumes: [none] }), without(0)).yes, true)
    const silent = { ...none, hosts: new Map([...none.hosts, [nameOf(2), undefined]]) }
    assert.equal(weighLoss(site({ volumes: [silent] }), without(0)).yes, false)
  })

  it('tells why each other host does not take a service', () => {
    const db = service('db', [0], { volumes: ['data'], constraints: ['node.hostname!=h2'] })
    const picture = site({
      services: [db],
      volumes: [volume('data', whole(0, ['UpToDate', 'Inconsistent', 'UpToDate']))],
    })
    const { yes, reasons } = weighLoss(picture, { kind: 'tasks', host: nameOf(0) })
    assert.equal(yes, false)
    assert.deepEqual(reasons[0]?.evidence, ['h1: has a copy of data that is Inconsistent', 'h2: is not allowed (node.hostname!=h2)'])
    assert.equal(weighLoss(picture, { kind: 'tasks', host: nameOf(0) }, new Set(['db'])).yes, true, 'it may stop meanwhile')
    assert.equal(weighLoss(picture, { kind: 'service', service: 'web', host: nameOf(0) }).yes, true)
    assert.equal(weighLoss(picture, { kind: 'service', service: 'db', host: nameOf(0) }).yes, false)
  })

  it('wants the very image on another host', () => {
    const elsewhere = [
      host(0),
      host(1, { images: [{ tags: ['repo:5000/web:1'], digests: ['repo:5000/web@sha256:2'], size: 1n }] }),
      host(2, { images: undefined }),
    ]
    const picture = site({ hosts: elsewhere, services: [service('web', [0])] })
    saysNo(picture, 0, new RegExp(`web would not run without h0: h1 has no image ${image}, h2 does not tell its images`))
    const one = weighLoss(site({ hosts: [host(0), host(1), host(2, { images: [] })], services: [service('web', [0])] }), without(0))
    assert.equal(one.yes, true)
    assert.match(one.reasons.find(({ severity }) => severity === 'notes')?.text ?? '', /h2 has no image of web .*has to pull it/)
  })

  it('knows ports of hosts, drained hosts, constraints that are not known, and data that stays behind', () => {
    const port = { hostPorts: ['80/tcp'] }
    saysNo(
      site({ services: [service('a', [0], port), service('b', [1], port), service('c', [2], port)] }),
      0,
      /a would not run without h0: h1 has its port 80\/tcp taken/,
    )
    const spread = weighLoss(site({ services: [service('a', [0, 1, 2], port)] }), without(0))
    assert.equal(spread.yes, true)
    assert.match(spread.reasons.find(({ severity }) => severity === 'notes')?.text ?? '', /a would run with 2 of 3/)
    saysNo(
      site({ nodes: [node(0), node(1, { availability: 'drain' }), node(2, { availability: 'pause' })], services: [service('a', [0])] }),
      0,
      /takes no tasks \(drain\)/,
    )
    saysNo(site({ services: [service('a', [0], { constraints: ['engine.labels.os==x'] })] }), 0, /may not be allowed \(engine\.labels\.os==x\)/)
    saysNo(site({ services: [service('g', [0], { mode: 'global' })] }), 0, /g runs on h0 alone/)
    const left = weighLoss(site({ services: [service('a', [0], { localVolumes: ['cache'] })] }), without(0))
    assert.match(left.reasons.find(({ severity }) => severity === 'notes')?.text ?? '', /a leaves what h0 keeps in cache/)
  })
})

describe('in any state of a site, the guard', () => {
  it('never says yes where a majority, a quorum or the last valid copy would go', () => {
    let yes = 0
    fc.assert(
      fc.property(anySite, fc.nat(4), ({ picture, truths }, x) => {
        const n = picture.hosts.length
        const self = x % n
        if (!weighLoss(picture, without(self), new Set(['a', 'b', 'c'])).yes) return
        yes += 1
        assert.ok(picture.nodes !== undefined, 'nobody tells of the swarm')
        const managers = picture.nodes.filter(({ role }) => role === 'manager')
        const left = managers.filter(({ name, state, reachability }) => name !== shortOf(self) && state === 'ready' && reachability === 'reachable')
        if (picture.nodes[self]?.role === 'manager') assert.ok(left.length * 2 > managers.length, 'the majority would go')
        for (const truth of truths) assertServes(truth, { kind: 'down', host: nameOf(self) }, self)
      }),
      { numRuns: 10_000 },
    )
    assert.ok(yes > 300, `only ${yes} were yes`)
  })

  it('never says yes where a service would have no place', () => {
    let moved = 0
    fc.assert(
      fc.property(anySite, fc.nat(4), fc.constantFrom('host', 'tasks'), ({ picture, truths }, x, kind) => {
        const { nodes = [], services = [], hosts } = picture
        const self = x % hosts.length
        if (!weighLoss(picture, { kind: kind as 'host' | 'tasks', host: nameOf(self) }).yes) return
        for (const one of services) {
          if (!one.tasks.some((task) => task.node === shortOf(self))) continue
          const running = one.tasks.some((task) => task.node !== shortOf(self) && nodes.some(({ name, state }) => name === task.node && state === 'ready'))
          const takes = nodes.some(({ state, availability, labels, role }, i) => {
            if (i === self || state !== 'ready' || availability !== 'active') return false
            if (one.constraints.includes('node.labels.disk==fast') && labels['disk'] !== 'fast') return false
            if (one.constraints.includes('node.role == manager') && role !== 'manager') return false
            if (one.constraints.includes(`node.hostname!=${shortOf(1)}`) && i === 1) return false
            if (one.volumes.some((name) => picture.volumes.some((known) => known.name === name) && truths[Number(name.slice(1))]?.disks[i] !== 'UpToDate'))
              return false
            return (hosts[i]?.images ?? []).length > 0
          })
          assert.ok(running || (takes && one.mode === 'replicated'), `${one.name} has no place`)
          moved += 1
        }
      }),
      { numRuns: 10_000 },
    )
    assert.ok(moved > 300, `only ${moved} had one`)
  })
})
