import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { type HostView, type QuorumOperation, quorumAfter } from '../../../proto/drbd-quorum.ts'
import { assertServes, nameOf, told, truths } from './support/truth.ts'

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
          assertServes(truth, operation, self, peer)
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
