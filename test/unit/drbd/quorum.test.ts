import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { type HostView, type QuorumOperation, quorumAfter } from '../../../proto/drbd-quorum.ts'

const fixtures = new URL('../../fixtures/drbd9/', import.meta.url).pathname
const recorded = (path: string): DrbdResourceStatus => {
  const found = parseStatus(readFileSync(`${fixtures}${path}/drbdsetup-status-R.json`, 'utf8'))[0]
  assert.ok(found !== undefined)
  return found
}
const views = (state: string, hosts: readonly string[], sub = ''): HostView[] =>
  hosts.map((host) => ({ host: `${host}.pdns`, status: recorded(`${state}/${host}${sub === '' ? '' : `/${sub}`}`) }))
const all = ['s-hive0', 's-hive1', 's-hive2']

describe('quorum on recorded states', () => {
  it('is never claimed where the kernel said there was none', () => {
    const states = globSync('*/*/**/drbdsetup-status-R.json', { cwd: fixtures })
    assert.ok(states.length > 100)
    for (const path of states) {
      const [state, host = ''] = path.split('/')
      const [status] = parseStatus(readFileSync(fixtures + path, 'utf8'))
      const device = status?.devices[0]
      if (status === undefined || device === undefined || device.quorum) continue
      // The kernel's own word is taken away: the count alone must agree.
      const blind = { ...status, devices: [{ ...device, quorum: true }] }
      const { verdict } = quorumAfter([{ host, status: blind }], { kind: 'none', host })
      // A node that has lost its peers' definitions counts them from its metadata, which no status shows.
      if (status.connections.length > 0) assert.notEqual(verdict, 'safe', `${state}/${host}`)
    }
  })

  it('leaves the Primary of three its majority when one Secondary goes', () => {
    const effect = quorumAfter(views('07-primary-mounted-autopromote', all), { kind: 'down', host: 's-hive2' })
    assert.equal(effect.verdict, 'safe')
    assert.deepEqual([effect.voters, effect.needed, effect.left], [2, 2, 2])
    assert.deepEqual(effect.copies, ['s-hive0.pdns', 's-hive1.pdns'])
  })

  it('is lost with the second of three after one was killed, and not after one left in order', () => {
    const killed = views('13-primary-killed', ['s-hive1', 's-hive2'], 'promoted-on-s-hive1')
    assert.equal(quorumAfter(killed, { kind: 'down', host: 's-hive2' }).verdict, 'loses-quorum')
    const left = views('10-secondary-down-while-writing', ['s-hive0', 's-hive1'])
    const effect = quorumAfter(left, { kind: 'down', host: 's-hive1' })
    assert.equal(effect.verdict, 'safe')
    assert.deepEqual([effect.voters, effect.left], [1, 1])
  })

  it('is kept by the diskless third of two copies', () => {
    const three = views('19-diskless-tiebreaker', all)
    assert.equal(quorumAfter(three, { kind: 'down', host: 's-hive1' }).verdict, 'safe')
    assert.equal(quorumAfter(three, { kind: 'disconnect', host: 's-hive0', peer: 's-hive1' }).verdict, 'safe')
    const [first, second] = three
    assert.ok(first !== undefined && second !== undefined)
    const withoutThird = [first, second, { host: 's-hive2', status: undefined }]
    assert.equal(quorumAfter(withoutThird, { kind: 'down', host: 's-hive1' }).verdict, 'loses-quorum')
  })

  it('is unknown from one host alone, and says so', () => {
    const alone = views('07-primary-mounted-autopromote', ['s-hive2'])
    const effect = quorumAfter(alone, { kind: 'down', host: 's-hive2' })
    assert.equal(effect.verdict, 'unknown')
    assert.match(effect.reasons.join('; '), /not heard/)
    // The Primary's own view is enough for what it does itself.
    const primary = views('07-primary-mounted-autopromote', ['s-hive0'])
    assert.equal(quorumAfter(primary, { kind: 'disconnect', host: 's-hive0', peer: 's-hive1' }).verdict, 'safe')
  })

  it('names the last UpToDate copy, and what force would hide', () => {
    const resyncing = views('16-quorum-regained', ['s-hive0', 's-hive1'], 'one-back')
    assert.equal(quorumAfter(resyncing, { kind: 'down', host: 's-hive0' }).verdict, 'loses-last-copy')
    assert.equal(quorumAfter(resyncing, { kind: 'invalidate', host: 's-hive0' }).verdict, 'loses-last-copy')
    const lost = views('15-quorum-lost', ['s-hive0'])
    const effect = quorumAfter(lost, { kind: 'force-primary', host: 's-hive0' })
    assert.equal(effect.verdict, 'loses-quorum')
    assert.match(effect.reasons[0] ?? '', /sees 1 of 3 voters and needs 2; forced, it would hide that/)
  })
})

/** The whole truth of a volume, of which hosts tell their part. */
interface Truth {
  readonly disks: readonly string[] // 'client' for diskless on purpose
  readonly links: readonly (readonly boolean[])[]
  /** away[a][b]: a counts b, which is away, as outdated. */
  readonly away: readonly (readonly boolean[])[]
  readonly primary: number
  readonly had: readonly boolean[]
}

/** DRBD's rule, written down a second time. */
function hasQuorum({ disks, links, away }: Truth, self: number, had: boolean): boolean {
  const others = disks.map((_, i) => i).filter((i) => i !== self)
  const up = others.filter((i) => links[self]?.[i])
  const off = others.filter((i) => !links[self]?.[i])
  const isClient = (i: number): boolean => disks[i] === 'client'
  const here = up.filter((i) => !isClient(i)).length + (['client', 'Diskless'].includes(disks[self] ?? '') ? 0 : 1)
  const unknown = off.filter((i) => !isClient(i) && !away[self]?.[i]).length + (disks[self] === 'Diskless' ? 1 : 0)
  const outdated = off.filter((i) => !isClient(i) && away[self]?.[i]).length
  const voters = unknown > 0 ? here + unknown + outdated : here
  const need = Math.floor(voters / 2) + 1
  if (here >= need) return true
  const clients = [...up, self].filter(isClient).length
  const allClients = disks.filter((disk) => disk === 'client').length
  return voters > 0 && voters % 2 === 0 && here === need - 1 && clients >= Math.floor(allClients / 2) + 1 && had
}

const truths: fc.Arbitrary<Truth> = fc.integer({ min: 2, max: 5 }).chain((n) =>
  fc
    .record({
      disks: fc.array(fc.constantFrom('UpToDate', 'UpToDate', 'UpToDate', 'client', 'Outdated', 'Inconsistent', 'Diskless'), { minLength: n, maxLength: n }),
      up: fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: n, maxLength: n }), { minLength: n, maxLength: n }),
      marks: fc.array(fc.array(fc.boolean(), { minLength: n, maxLength: n }), { minLength: n, maxLength: n }),
      primary: fc.integer({ min: -1, max: n - 1 }),
      coins: fc.array(fc.boolean(), { minLength: n, maxLength: n }),
    })
    .map(({ disks, up, marks, primary, coins }) => {
      const links = disks.map((_, a) => disks.map((_other, b) => a !== b && (up[Math.min(a, b)]?.[Math.max(a, b)] ?? 0) > 0))
      const away = disks.map((_, a) => disks.map((_other, b) => !links[a]?.[b] && marks[a]?.[b] === true))
      const bare: Truth = { disks, links, away, primary, had: [] }
      return { ...bare, had: disks.map((_, i) => hasQuorum(bare, i, coins[i] === true)) }
    }),
)

const nameOf = (i: number): string => `h${i}.site`

function told(truth: Truth, self: number): DrbdResourceStatus {
  const state = (i: number): string => (truth.disks[i] === 'client' ? 'Diskless' : (truth.disks[i] ?? ''))
  return {
    name: 'v',
    nodeId: self,
    role: truth.primary === self ? 'Primary' : 'Secondary',
    suspended: false,
    forceIoFailures: false,
    devices: [
      {
        volume: 0,
        minor: 1,
        diskState: state(self),
        client: truth.disks[self] === 'client',
        quorum: truth.had[self] === true,
        sizeKib: 1024n,
        open: false,
      },
    ],
    connections: truth.disks.flatMap((_, i) => {
      if (i === self) return []
      const up = truth.links[self]?.[i] === true
      return [
        {
          peerNodeId: i,
          name: nameOf(i),
          state: up ? 'Connected' : 'Connecting',
          peerRole: up ? (truth.primary === i ? 'Primary' : 'Secondary') : 'Unknown',
          peerDevices: [
            {
              volume: 0,
              replicationState: up ? 'Established' : 'Off',
              peerDiskState: up ? state(i) : truth.away[self]?.[i] ? 'Outdated' : 'DUnknown',
              peerClient: up && truth.disks[i] === 'client',
              resyncSuspended: 'no',
              outOfSyncKib: 0n,
              percentInSync: 100,
              sync: undefined,
            },
          ],
        },
      ]
    }),
  }
}

/** All states that the operation may lead to; hosts that are out of the volume have a disk 'out'. */
function outcomes(truth: Truth, operation: QuorumOperation, self: number, peer: number): readonly Truth[] {
  const disks = (change: (disk: string, i: number) => string): Truth => ({
    ...truth,
    disks: truth.disks.map((disk, i) => (disk === 'client' ? disk : change(disk, i))),
  })
  const cut = (from: Truth, gone: (a: number, b: number) => boolean, note: (a: number, b: number) => boolean): Truth => ({
    ...from,
    links: from.links.map((row, a) => row.map((up, b) => up && !gone(a, b))),
    away: from.away.map((row, a) => row.map((mark, b) => mark || (gone(a, b) && truth.links[a]?.[b] === true && note(a, b)))),
  })
  const touches = (a: number, b: number): boolean => a === self || b === self
  switch (operation.kind) {
    case 'down': {
      const left = cut(truth, touches, (a, b) => b === self && a === truth.primary)
      return [{ ...left, primary: truth.primary === self ? -1 : truth.primary }]
    }
    case 'detach':
      return [disks((disk, i) => (i === self ? 'Diskless' : disk))]
    case 'invalidate':
      return [disks((disk, i) => (i === self ? 'Inconsistent' : disk))]
    case 'discard':
      return [truth, disks((disk, i) => (i === self ? 'Inconsistent' : disk))].flatMap((state) => [
        cut(state, touches, () => false),
        cut(state, touches, (a, b) => b === self && a === truth.primary),
      ])
    case 'disconnect': {
      const link = (a: number, b: number): boolean => (a === self && b === peer) || (a === peer && b === self)
      const late = truth.links[self]?.[peer] !== true ? -1 : self === truth.primary ? peer : peer === truth.primary ? self : -1
      const outdated = disks((disk, i) => (i === late && disk === 'UpToDate' ? 'Outdated' : disk))
      return [truth, outdated].flatMap((state) => [cut(state, link, () => false), cut(state, link, (_a, b) => b === late)])
    }
    default:
      return [truth]
  }
}

describe('the quorum guard', () => {
  it('never calls safe what takes the quorum of a Primary or the last copy that has one', () => {
    let safe = 0
    fc.assert(
      fc.property(
        truths,
        fc.constantFrom('none', 'down', 'detach', 'invalidate', 'discard', 'disconnect'),
        fc.nat(4),
        fc.nat(4),
        fc.nat(31),
        (truth, kind, x, y, heard) => {
          const n = truth.disks.length
          const self = x % n
          const peer = (self + 1 + (y % (n - 1))) % n
          const operation = (kind === 'disconnect' ? { kind, host: nameOf(self), peer: nameOf(peer) } : { kind, host: nameOf(self) }) as QuorumOperation
          const seen = truth.disks.flatMap((_, i) => (i === self || heard & (1 << i) ? [{ host: nameOf(i), status: told(truth, i) }] : []))
          if (quorumAfter(seen, operation).verdict !== 'safe') return
          safe += 1
          for (const after of outcomes(truth, operation, self, peer)) {
            const part = (i: number): boolean => operation.kind !== 'down' || i !== self
            const has = (i: number): boolean => truth.had[i] === true && hasQuorum(after, i, true)
            const serves = after.disks.some((disk, i) => part(i) && disk === 'UpToDate' && has(i))
            assert.ok(serves, 'no UpToDate copy has quorum')
            const { primary } = after
            if (primary < 0 || !truth.had[primary]) continue
            assert.ok(has(primary), 'the Primary lost quorum')
            const reaches = after.disks.some((disk, i) => disk === 'UpToDate' && part(i) && (i === primary || after.links[primary]?.[i] === true))
            const reached = truth.disks.some((disk, i) => disk === 'UpToDate' && (i === primary || truth.links[primary]?.[i] === true))
            assert.ok(reaches || !reached, 'the Primary lost its data')
          }
        },
      ),
      { numRuns: 10_000 },
    )
    assert.ok(safe > 1000, `only ${safe} were safe`)
  })

  it('says more when more is heard: a verdict of all hosts is never unknown', () => {
    fc.assert(
      fc.property(truths, fc.constantFrom('down', 'detach', 'invalidate', 'discard' as const), fc.nat(4), (truth, kind, x) => {
        const seen = truth.disks.map((_, i) => ({ host: nameOf(i), status: told(truth, i) }))
        const { verdict, reasons } = quorumAfter(seen, { kind: kind as 'down', host: nameOf(x % truth.disks.length) })
        assert.notEqual(verdict, 'unknown')
        assert.ok(reasons.length > 0)
      }),
    )
  })
})
