/** Volumes in any state, what hosts tell of them, and what an operation may lead to: DRBD's rules written down a second time. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { QuorumOperation } from '../../../../proto/drbd-quorum.ts'

/** The whole truth of a volume, of which hosts tell their part. */
export interface Truth {
  readonly disks: readonly string[] // 'client' for diskless on purpose
  readonly links: readonly (readonly boolean[])[]
  /** away[a][b]: a counts b, which is away, as outdated. */
  readonly away: readonly (readonly boolean[])[]
  readonly primary: number
  readonly had: readonly boolean[]
}

/** DRBD's rule, written down a second time. */
export function hasQuorum({ disks, links, away }: Truth, self: number, had: boolean): boolean {
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

export const truths: fc.Arbitrary<Truth> = fc.integer({ min: 2, max: 5 }).chain((n) => truthsOf(n))

/** Of so many hosts. */
export const truthsOf = (n: number): fc.Arbitrary<Truth> =>
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
    })

export const nameOf = (i: number): string => `h${i}.site`

/** What one host says of it. */
export function told(truth: Truth, self: number): DrbdResourceStatus {
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

/** Throws where the operation takes the quorum of a Primary, or the last copy that has one. */
export function assertServes(truth: Truth, operation: QuorumOperation, self: number, peer = -1): void {
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
}
