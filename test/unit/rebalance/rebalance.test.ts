/** Crowded services are spread again: which, and why not; never where a copy, a place or health is missing. Swarm's placing is simulated. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { admits } from '../../../coordinator/guard/node-admits.ts'
import type { ServicePicture, SitePicture } from '../../../coordinator/guard/picture.ts'
import { decideRebalance } from '../../../coordinator/rebalance/decide.ts'
import { type RebalanceOperations, rebalance } from '../../../coordinator/rebalance/rebalance.ts'
import { HiveError } from '../../../proto/errors.ts'
import { anySite, host, imageHere, node, service, shortOf, site, volume, whole } from '../guard/pictures.ts'

const decided = (picture: SitePicture, ...named: readonly string[]): readonly string[] => {
  const { moves, kept } = decideRebalance(picture, new Set(named))
  return [
    ...moves.map(({ service: name, after }) => `${name} → ${[...after].map(([at, count]) => `${at} ${count}`).join(', ')}`),
    ...kept.map(({ service: name, why }) => `${name} stays: ${why.slice(why.indexOf('; ') + 2)}`),
  ]
}

suite('which services move', () => {
  test('a service whose tasks are on one host is spread, a spread one is left alone', () => {
    assert.deepEqual(decided(site({ services: [service('web', [0, 0, 0])] })), ['web → h0 1, h1 1, h2 1'])
    assert.deepEqual(decided(site({ services: [service('web', [0, 1, 2])] })), [])
    assert.deepEqual(decided(site({ services: [service('web', [0, 0, 1, 2])] })), [])
    assert.deepEqual(decided(site({ services: [service('web', [0, 0], { mode: 'global' })] })), [])
  })

  test('services of one task leave the host that has them all, as long as that makes it more even', () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => service(name, [0]))
    assert.deepEqual(decided(site({ services: all })), ['a → h1 1', 'b → h2 1'])
    assert.deepEqual(decided(site({ services: [service('a', [0])] })), [])
  })

  test('swarm must not be able to choose a node without the image, without an active disk, or one that nobody knows', () => {
    const services = [service('web', [0, 0, 0])]
    const [h0, h1] = [host(0), host(1)]
    assert.match(decided(site({ services, hosts: [h0, h1, host(2, { images: [] })] })).join(), /^web stays: swarm might choose h2, which has no image/)
    assert.match(decided(site({ services, hosts: [h0, h1, host(2, { images: undefined })] })).join(), /stays: .*does not tell its images/)
    assert.match(decided(site({ services, hosts: [h0, h1] })).join(), /stays: .*is no host of the inventory/)
    // A node that takes nothing is no place.
    assert.deepEqual(decided(site({ services, nodes: [node(0), node(1), node(2, { availability: 'drain' })], hosts: [h0, h1, host(2, { images: [] })] })), [
      'web → h0 2, h1 1',
    ])
    assert.deepEqual(decided(site({ services: [service('web', [0, 0], { constraints: ['node.hostname==h0'] })] })), [])
  })

  test('a service of one task with a mirrored volume moves only where it is named, and all copies are UpToDate', () => {
    const services = [service('db', [0], { volumes: ['v'] }), service('x', [0], { constraints: ['node.hostname==h0'] })]
    const good = site({ services, volumes: [volume('v', whole(0))] })
    assert.match(decided(good).join(), /^db stays: it has one task and the mirrored volume v/)
    assert.deepEqual(decided(good, 'db'), ['db → h1 1'])
    const outdated = site({ services, volumes: [volume('v', whole(0, ['UpToDate', 'UpToDate', 'Inconsistent']))] })
    assert.match(decided(outdated, 'db').join(), /^db stays: swarm might choose h2, which has a copy of v that is Inconsistent/)
    const silent = site({ services, volumes: [volume('v', whole(0), (i) => i !== 1)] })
    assert.match(decided(silent, 'db').join(), /^db stays: swarm might choose h1, which does not answer/)
  })

  test('what keeps data on its hosts, what is not whole, and what is on its way stays', () => {
    assert.match(decided(site({ services: [service('web', [0, 0], { localVolumes: ['cache'] })] })).join(), /keeps data on its hosts \(cache\)/)
    assert.match(decided(site({ services: [service('web', [0, 0], { desired: 3 })] })).join(), /not whole/)
    const ending = { ...service('web', [0, 0]), tasks: [...service('web', [0, 0]).tasks, { node: 'h1', state: 'running', wanted: false }] }
    assert.match(decided(site({ services: [ending] })).join(), /not whole/)
  })

  test('whatever the site is like, nothing moves that should not', () => {
    fc.assert(
      fc.property(anySite, fc.subarray(['a', 'b', 'c']), ({ picture }, named) => {
        const { moves, kept } = decideRebalance(picture, new Set(named))
        const names = [...moves, ...kept].map(({ service: name }) => name)
        if (named.length > 0) assert.ok(names.every((name) => named.includes(name)))
        if (picture.nodes === undefined) assert.deepEqual(names, [])
        for (const { service: name, now, after } of moves) {
          // Names are not unique among arbitrary services; one of them must be the one that moves.
          const possible = (picture.services ?? []).filter((one) => one.name === name)
          assert.ok(
            possible.some((one) => mayMove(one, picture, named, now, after)),
            `${name} may move`,
          )
        }
      }),
      { numRuns: 2000 },
    )
  })
})

/** What the decision promises, said in another way. */
function mayMove(
  one: ServicePicture,
  picture: SitePicture,
  named: readonly string[],
  now: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): boolean {
  if (one.mode === 'global') return false
  if (one.desired === 1 && one.volumes.length > 0 && !named.includes(one.name)) return false
  const places = (picture.nodes ?? []).filter((at) => at.state === 'ready' && at.availability === 'active' && admits(one.constraints, at) !== 'no')
  const most = (counts: ReadonlyMap<string, number>): number => Math.max(...counts.values())
  const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((all, count) => all + count, 0)
  if (sum(now) !== sum(after) || most(after) > most(now)) return false
  if (![...after.keys()].every((name) => places.some((place) => place.name === name))) return false
  return places.every((place) => {
    const at = picture.hosts.find(({ shortName }) => shortName === place.name)
    if (at?.images === undefined || at.images.length === 0) return false
    return one.volumes.every((name) => {
      const states = picture.volumes.find((known) => known.name === name)
      if (states === undefined) return true
      const device = states.hosts.get(at.name)?.status?.devices[0]
      return device?.diskState === 'UpToDate' && device.quorum
    })
  })
}

/** A swarm that places tasks as the real one does. */
class Swarm implements RebalanceOperations {
  picture: SitePicture
  readonly restarted: string[] = []
  readonly #fails: string | undefined
  #looks = 0

  constructor(picture: SitePicture, fails?: string) {
    this.picture = picture
    this.#fails = fails
  }

  async look(): Promise<SitePicture> {
    this.#looks += 1
    assert.ok(this.#looks < 1000, 'it comes to an end')
    return this.picture
  }

  async updateState(name: string): Promise<string> {
    return name === this.#fails ? 'paused' : 'completed'
  }

  async restart(name: string): Promise<void> {
    const { nodes = [], services = [] } = this.picture
    const wholeBefore = services.every(({ desired, tasks }) => tasks.filter(({ wanted, state }) => wanted && state === 'running').length >= desired)
    assert.ok(wholeBefore, 'one at a time: all are whole before the next one moves')
    this.restarted.push(name)
    const one = services.find((candidate) => candidate.name === name)
    assert.ok(one !== undefined)
    const places = nodes.filter((at) => at.state === 'ready' && at.availability === 'active' && admits(one.constraints, at) === 'yes').map((at) => at.name)
    let tasks = [...one.tasks]
    for (const old of one.tasks) {
      tasks = tasks.filter((task) => task !== old)
      const others = services.filter((other) => other !== one).flatMap((other) => other.tasks)
      const count = (all: readonly { readonly node: string }[], at: string): number => all.filter((task) => task.node === at).length
      const [next = ''] = places.toSorted((a, b) => count(tasks, a) - count(tasks, b) || count([...others, ...tasks], a) - count([...others, ...tasks], b))
      tasks.push({ node: next, state: 'running', wanted: true })
    }
    this.picture = { ...this.picture, services: services.map((other) => (other === one ? { ...one, tasks } : other)) }
  }
}

const run = (swarm: Swarm, ...named: readonly string[]) =>
  rebalance({
    operations: swarm,
    named: new Set(named),
    patience: 1000,
    clock: { now: () => 0, pause: async () => undefined },
    emit: () => undefined,
    signal: AbortSignal.timeout(60_000),
  })

suite('services are spread again', () => {
  test('one after the other, and a second time nothing moves', async () => {
    const swarm = new Swarm(site({ services: [service('web', [0, 0, 0]), ...['a', 'b', 'c', 'd'].map((name) => service(name, [0]))] }))
    const { moved } = await run(swarm)
    assert.deepEqual(swarm.restarted, ['web', 'a', 'b'])
    assert.deepEqual(Object.fromEntries(moved[0]?.tasks ?? []), { h0: 1, h1: 1, h2: 1 })
    assert.deepEqual((await run(swarm)).moved, [])
  })

  test('it stops at the first service that docker does not bring back', async () => {
    const swarm = new Swarm(site({ services: [service('api', [0, 0, 0]), service('web', [0, 0, 0])] }), 'api')
    await assert.rejects(run(swarm), (error) => error instanceof HiveError && error.code === 'not-converged' && /api/.test(error.message))
    assert.deepEqual(swarm.restarted, ['api'])
  })

  test('without a manager nothing is touched', async () => {
    const swarm = new Swarm(site({ nodes: undefined, services: undefined }))
    await assert.rejects(run(swarm), (error) => error instanceof HiveError && error.code === 'blocked')
  })

  test('a killed one is gone on with by the same command, and comes to the same end', async () => {
    const crowded = site({ services: ['a', 'b', 'c'].map((name) => service(name, [0, 0, 0])) })
    const once = new Swarm(crowded)
    await run(once)
    const cut = new Swarm(crowded)
    const restart = cut.restart.bind(cut)
    cut.restart = async (name) => {
      await restart(name)
      if (cut.restarted.length === 2) throw new HiveError('cancelled', 'killed')
    }
    await assert.rejects(run(cut))
    cut.restart = restart
    await run(cut)
    assert.deepEqual(cut.picture, once.picture)
  })

  test('any crowded site comes to rest with each service spread, and is whole at each moment', async () => {
    const services = fc
      .array(fc.record({ nodes: fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }), pinned: fc.boolean() }), { minLength: 1, maxLength: 6 })
      .map((all) =>
        all.map(({ nodes, pinned }, index) => service(`s${index}`, pinned ? nodes.map(() => 0) : nodes, pinned ? { constraints: ['node.hostname==h0'] } : {})),
      )
    await fc.assert(
      fc.asyncProperty(services, async (all) => {
        const four = [0, 1, 2, 3]
        const picture = site({ hosts: four.map((i) => host(i, { images: [imageHere] })), nodes: four.map((i) => node(i)), services: all })
        const swarm = new Swarm(picture)
        await run(swarm)
        for (const { name, tasks, desired, constraints } of swarm.picture.services ?? []) {
          assert.equal(tasks.length, desired)
          if (constraints.length > 0) assert.ok(!swarm.restarted.includes(name))
          const most = Math.max(...four.map((i) => tasks.filter((task) => task.node === shortOf(i)).length))
          if (constraints.length === 0) assert.ok(most <= Math.ceil(desired / 4), `${name} is spread`)
        }
      }),
      { numRuns: 300 },
    )
  })
})
