import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  awaitReplaced,
  begunIn,
  giveUpMachine,
  inherit,
  notReplaced,
  partAlready,
  planReplacement,
  type ReplaceInput,
  type ReplacementFacts,
} from '../../../coordinator/hosts/replace.ts'
import type { Host } from '../../../coordinator/inventory/site.ts'
import type { StageState } from '../../../coordinator/run/stage-state.ts'
import { Killed, SimulatedSite } from './simulated-site.ts'

const memory = (): StageState => {
  const values = new Map<string, unknown>()
  return { get: (key) => values.get(key), set: (key, value) => void values.set(key, value) }
}

/** A site with a provider that makes machines, and a host of it. */
class Bench {
  readonly site = new SimulatedSite()
  readonly state = memory()
  power: ReplacementFacts['power'] = 'halted'
  machines = 1
  certificate = 'first'
  forgotten = 0

  host(name: string): Host {
    const found = this.site.site.find((one) => one.name === name)
    if (found === undefined) throw new Error(name)
    return found
  }

  set(name: string, given: Record<string, unknown>): void {
    Object.assign(this.site.hosts.find((one) => one.name === name) ?? {}, given)
    this.site.pass(30_000)
  }

  input(name: string, given: Partial<ReplaceInput> & { readonly calls?: number } = {}): ReplaceInput {
    const operations = this.site.operations(given.calls)
    const host = this.host(name)
    return {
      host,
      state: this.state,
      facts: async () => ({ picture: this.site.picture(), host, power: this.power, makes: true, begun: begunIn(this.state, name) }),
      operations,
      operationsWith: () => operations,
      given: new Set(),
      allowed: new Set(),
      forced: new Set(),
      wait: false,
      work: {
        certificates: () => [this.certificate],
        discard: async () => {
          this.power = 'absent'
        },
        forget: async () => {
          this.forgotten += 1
          this.certificate = 'none'
        },
      },
      patience: 60_000,
      clock: this.site.clock,
      emit: () => undefined,
      signal: new AbortController().signal,
      now: () => new Date(0),
      ...given,
    }
  }

  /** What the phases of a deploy do. */
  make(name: string): void {
    this.power = 'running'
    this.certificate = 'second'
    this.set(name, { role: 'manager', boot: 2, upAt: 0, fullAt: 0, labels: {}, availability: 'active' })
  }

  seen = async () => ({ picture: this.site.picture(), certificate: this.certificate, open: [] })

  nodes(): readonly string[] {
    return this.site.picture().nodes?.map(({ name }) => name) ?? []
  }
}

const dead = (): Bench => {
  const bench = new Bench()
  bench.site.hosts[1] = { ...(bench.site.hosts[1] as SimulatedSite['hosts'][number]), labels: { rack: '7', 'hive.reboot': 'x' }, availability: 'pause' }
  bench.set('h1', { upAt: undefined })
  return bench
}

describe('a host that another machine takes the place of', () => {
  it('leaves the swarm with its machine, and the new one has labels and availability of the old one', async () => {
    const bench = dead()
    await giveUpMachine(bench.input('h1'))
    assert.deepEqual([bench.nodes(), bench.power, bench.forgotten], [['h0', 'h2'], 'absent', 1])
    bench.make('h1')
    await inherit(bench.input('h1'))
    await awaitReplaced({ ...bench.input('h1'), see: bench.seen })
    const node = bench.site.picture().nodes?.find(({ name }) => name === 'h1')
    assert.deepEqual([node?.labels, node?.availability], [{ rack: '7' }, 'pause'])
    assert.equal(begunIn(bench.state, 'h1'), undefined)
    assert.deepEqual(bench.site.wrong, [])
  })

  it('is refused where it answers, unless it is named once more, and then it is drained first', async () => {
    const bench = new Bench()
    bench.power = 'running'
    await assert.rejects(giveUpMachine(bench.input('h1')), /h1 is not replaced: h1 answers as the host that it was/)
    assert.deepEqual([bench.nodes().length, bench.forgotten, begunIn(bench.state, 'h1')], [3, 0, undefined])
    await giveUpMachine(bench.input('h1', { forced: new Set(['h1']) }))
    assert.deepEqual([bench.nodes(), bench.power, bench.site.wrong], [['h0', 'h2'], 'absent', []])
  })

  it('is refused where the swarm has no majority', async () => {
    const bench = dead()
    bench.set('h2', { upAt: undefined })
    await assert.rejects(giveUpMachine(bench.input('h1')), /no manager of the swarm answers/)
    assert.deepEqual([bench.power, bench.forgotten], ['halted', 0])
  })

  it('never takes a disk along that may hold the last valid copy, unless the volume is named', async () => {
    const bench = dead()
    const later = bench.site.time + 10_000_000
    for (const name of ['h0', 'h2']) bench.set(name, { fullAt: later })
    await assert.rejects(giveUpMachine(bench.input('h1', { forced: new Set(['h1']) })), /the last valid copy of data may be on h1/)
    assert.deepEqual([bench.power, bench.nodes().length], ['halted', 3])
    bench.power = 'absent'
    const { atRisk } = planReplacement({ picture: bench.site.picture(), host: bench.host('h1'), power: 'absent', makes: true, begun: undefined })
    assert.deepEqual(atRisk, [], 'the disk is gone already')
    bench.power = 'halted'
    await giveUpMachine(bench.input('h1', { forced: new Set(['h1']), given: new Set(['data']) }))
    assert.equal(bench.power, 'absent')
  })

  it('never gives up the new machine, whatever is asked again', async () => {
    const bench = dead()
    await giveUpMachine(bench.input('h1'))
    bench.make('h1')
    await giveUpMachine(bench.input('h1'))
    await giveUpMachine(bench.input('h1', { forced: new Set(['h1']) }))
    assert.deepEqual([bench.power, bench.forgotten, bench.nodes()], ['running', 1, ['h0', 'h1', 'h2']])
    const plan = planReplacement({ picture: bench.site.picture(), host: bench.host('h1'), power: 'running', makes: true, begun: begunIn(bench.state, 'h1') })
    assert.deepEqual([plan.discards, plan.refusals], [false, []])
  })

  it('comes to the same end wherever the command was killed', async () => {
    let killed = 0
    for (let calls = 1; ; calls++) {
      const bench = dead()
      const first = await giveUpMachine(bench.input('h1', { calls })).then(
        () => 'done',
        (error: unknown) => error,
      )
      if (first === 'done') break
      if (first instanceof Killed) killed += 1
      await giveUpMachine(bench.input('h1'))
      assert.deepEqual([bench.nodes(), bench.power, bench.site.wrong], [['h0', 'h2'], 'absent', []], `killed at call ${calls}`)
      bench.make('h1')
      await inherit(bench.input('h1'))
      const node = bench.site.picture().nodes?.find(({ name }) => name === 'h1')
      assert.deepEqual([node?.labels, node?.availability], [{ rack: '7' }, 'pause'], `killed at call ${calls}`)
    }
    assert.ok(killed >= 3)
  })

  it('counts as replaced once nothing is missing', async () => {
    const bench = dead()
    await giveUpMachine(bench.input('h1'))
    const begun = begunIn(bench.state, 'h1')
    assert.ok(begun !== undefined)
    const host = bench.host('h1')
    assert.match(notReplaced({ ...(await bench.seen()), certificate: undefined }, host, begun).join(), /does not answer.*no node of the swarm/)
    bench.make('h1')
    assert.match(notReplaced({ ...(await bench.seen()), certificate: 'first' }, host, begun).join(), /the certificate of the old machine/)
    assert.deepEqual(notReplaced({ ...(await bench.seen()), open: ['x: y'] }, host, begun), ['its plan: x: y'])
    assert.deepEqual(notReplaced(await bench.seen(), host, begun), [])
    bench.set('h2', { upAt: undefined })
    assert.deepEqual(notReplaced(await bench.seen(), host, begun), [], 'another one that is dead is not waited for')
    bench.set('h2', { upAt: 0 })
    bench.set('h1', { fullAt: bench.site.time + 10_000_000 })
    assert.match(notReplaced(await bench.seen(), host, begun).join(), /the copy of data on h1 is Inconsistent/)
  })
})

describe('a host that is added', () => {
  const bench = new Bench()
  const [host] = bench.site.site as unknown as readonly [Host]
  const picture = bench.site.picture()

  it('is no part of the swarm yet', () => {
    const others = (picture.nodes ?? []).filter(({ name }) => name !== host.shortName && name !== host.name)
    assert.equal(partAlready({ picture: { ...picture, nodes: others }, host }), undefined)
    assert.match(partAlready({ picture, host })?.message ?? '', /is part of the site already/)
  })

  it('waits until somebody can tell what is part of the swarm', () => {
    assert.match(partAlready({ picture: { ...picture, nodes: undefined }, host })?.message ?? '', /no manager of the swarm answers/)
  })
})
