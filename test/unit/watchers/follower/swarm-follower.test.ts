import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { pino } from 'pino'
import type { HostAction, MarkChange } from '../../../../agent/watchers/follower/differences.ts'
import type { SwarmAnswer } from '../../../../agent/watchers/follower/look.ts'
import type { HostSight, SwarmSight } from '../../../../agent/watchers/follower/picture.ts'
import { SwarmFollower } from '../../../../agent/watchers/swarm-follower.ts'
import { HiveError } from '../../../../proto/errors.ts'
import { address, after, host, node, service, swarm, task } from './sights.ts'

/** A host that does what it is told, and a swarm that answers what the test says. The kernel's own end of a lease is the kernel's to test. */
class World {
  time = 1_700_000_000_000
  sight: SwarmSight | undefined
  seen: HostSight = host([], { containers: new Map([['c-web-n1', { 4: '172.18.0.3', 6: undefined }]]) })
  inReach = 3
  routerAnswers = false
  pings = 0
  refused = ''
  readonly marks: MarkChange[] = []
  readonly announced: string[] = []
  readonly lines: { readonly level: number; readonly msg: string }[] = []
  follower = this.begin()

  begin(): SwarmFollower {
    return new SwarmFollower({
      log: pino({ level: 'info' }, { write: (line: string) => void this.lines.push(JSON.parse(line) as { level: number; msg: string }) }),
      now: () => new Date(this.time),
      swarm: async (): Promise<SwarmAnswer> => {
        if (this.sight === undefined) throw new HiveError('command-failed', 'docker: the swarm does not have a leader')
        return { kind: 'sight', sight: this.sight }
      },
      host: async () => this.seen,
      reach: async () => ({ inReach: this.inReach, managers: 3 }),
      act: async (action: HostAction | MarkChange) => {
        if (action.kind === this.refused) throw new HiveError('command-failed', 'no')
        if (action.kind === 'mark-node') this.marks.push(action)
        else this.seen = after(this.seen, action)
      },
      announce: async (link, addresses) => void this.announced.push(`${link} ${addresses.join()}`),
      ping: async () => {
        this.pings += 1
        return this.routerAnswers
      },
    })
  }

  async looks(times: number, apart: number): Promise<void> {
    for (let look = 0; look < times; look++) {
      await this.follower.once()
      this.time += apart
    }
  }

  get virtual(): readonly string[] {
    return this.seen.links.flatMap(({ addresses }) => addresses).flatMap(({ address: text, secondsLeft }) => (secondsLeft === undefined ? [] : [text]))
  }

  errors(): readonly string[] {
    return this.lines.filter(({ level }) => level >= 50).map(({ msg }) => msg)
  }
}

const here = (labels: Record<string, string>, given: Partial<SwarmSight> = {}): SwarmSight => swarm([service('web', labels)], [task('web', 'n1')], given)

describe('the follower', () => {
  let world: World
  beforeEach(() => {
    world = new World()
  })

  it('gives, tells the neighbours three times, forwards, and takes it all back when the task has gone', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50', HIVE_DNAT_PORTS: '80' })
    await world.looks(5, 4000)
    assert.deepEqual([world.virtual, world.seen.rules.length, world.announced], [['10.0.0.50'], 2, Array(3).fill('eth0 10.0.0.50')])
    assert.deepEqual(
      world.follower.status().addresses.map((one) => [one.address, one.services]),
      [['10.0.0.50', ['web']]],
    )
    world.sight = swarm(world.sight.services, [task('web', 'n2')])
    await world.looks(1, 4000)
    assert.deepEqual([world.virtual, world.seen.rules], [[], []])
  })

  it('takes it back when the service itself has gone', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50', HIVE_DNAT_PORTS: '80' })
    await world.looks(1, 4000)
    world.sight = swarm([], [])
    await world.looks(1, 4000)
    assert.deepEqual([world.virtual, world.seen.rules], [[], []])
    assert.equal(await world.follower.once(), false)
  })

  it('keeps an address over an election, and gives it back once this host stands alone', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50' })
    await world.looks(1, 4000)
    world.sight = undefined
    await world.looks(6, 4000)
    assert.deepEqual(world.virtual, ['10.0.0.50'])
    world.inReach = 1
    await world.looks(1, 4000)
    assert.deepEqual(world.virtual, [])
  })

  it('gives an address back eight seconds after it was cut off, before swarm runs the task elsewhere', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50' })
    await world.looks(1, 4000)
    world.sight = undefined
    world.inReach = 1
    await world.looks(1, 4000)
    assert.deepEqual(world.virtual, ['10.0.0.50'])
    await world.looks(1, 4000)
    assert.deepEqual(world.virtual, [])
  })

  it('touches nothing while it has heard nothing since it began', async () => {
    world.seen = host([address('10.0.0.50', 'eth0', 24, 30)], {
      rules: [{ family: 4, table: 'nat', chain: 'DOCKER', words: ['-m', 'comment', '--comment', 'hive_snat_x'] }],
    })
    const before = world.seen
    await world.looks(3, 4000)
    assert.deepEqual(world.seen, before)
  })

  it('asks the router five times ten seconds apart, gives the address up with an error, and tries again with the next task', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50', HIVE_ROUTER: '10.0.0.254', HIVE_DNAT_PORTS: '80' })
    await world.looks(4, 10_000)
    assert.deepEqual([world.virtual, world.seen.rules.length, world.pings], [['10.0.0.50'], 0, 4])
    await world.looks(3, 10_000)
    assert.deepEqual([world.virtual, world.pings], [[], 5])
    assert.equal(world.follower.healthy(), false)
    assert.match(world.errors().join('\n'), /^web: HIVE_VIP: 10\.0\.0\.254 did not answer from 10\.0\.0\.50/)
    world.routerAnswers = true
    world.sight = swarm(world.sight.services, [task('web', 'n1', { id: 'next' })])
    await world.looks(1, 10_000)
    assert.deepEqual([world.virtual, world.seen.rules.length, world.follower.healthy()], [['10.0.0.50'], 2, true])
  })

  it('asks no router again for what the follower before it had', async () => {
    world.sight = here({ HIVE_VIP: '10.0.0.50', HIVE_ROUTER: '10.0.0.254', HIVE_DNAT_PORTS: '80' })
    world.routerAnswers = true
    await world.looks(1, 4000)
    world.routerAnswers = false
    world.follower = world.begin()
    await world.looks(2, 4000)
    assert.deepEqual([world.virtual, world.seen.rules.length, world.pings], [['10.0.0.50'], 2, 1])
  })

  it('tells a bad label once as an error and in its health, does the rest, and tells when it is over', async () => {
    const bad = service('bad', { HIVE_VIP: 'nonsense' })
    world.sight = swarm([bad, service('web', { HIVE_VIP: '10.0.0.50' })], [task('web', 'n1'), task('bad', 'n1')])
    await world.looks(3, 4000)
    assert.deepEqual([world.errors(), world.follower.healthy(), world.virtual], [["bad: HIVE_VIP: 'nonsense' is no IPv4 address"], false, ['10.0.0.50']])
    world.sight = here({ HIVE_VIP: '10.0.0.50' })
    await world.looks(1, 4000)
    assert.equal(world.follower.healthy(), true)
  })

  it('tells what a tool refuses, and does everything else', async () => {
    world.refused = 'add-rule'
    world.sight = here({ HIVE_VIP: '10.0.0.50', HIVE_DNAT_PORTS: '80', HIVE_MARK: 'proxy' })
    await world.looks(1, 4000)
    assert.deepEqual([world.virtual, world.marks.length, world.follower.healthy()], [['10.0.0.50'], 1, false])
    world.refused = ''
    await world.looks(1, 4000)
    assert.deepEqual([world.seen.rules.length, world.follower.healthy()], [2, true])
  })

  it('leaves marks to the leading manager, unless that one does nothing', async () => {
    world.sight = here({ HIVE_MARK: 'proxy' }, { leads: false })
    await world.looks(2, 4000)
    assert.equal(world.marks.length, 0)
    await world.looks(1, 4000)
    assert.deepEqual(world.marks, [{ kind: 'mark-node', nodeId: 'n1', name: 'host-n1', add: ['proxy'], remove: [] }])
  })

  it('takes the mark of a dead host away although no service asks for anything any more', async () => {
    world.sight = swarm([], [], { nodes: [node('n1'), node('n2', { dead: true, labels: { proxy: 'true', 'hive.marks': 'proxy' } })] })
    await world.looks(1, 4000)
    assert.deepEqual(
      world.marks.map(({ nodeId, remove }) => [nodeId, remove]),
      [['n2', ['proxy']]],
    )
  })
})
