import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { objections } from '../../../coordinator/guard/verdict.ts'
import { weighReplacement } from '../../../coordinator/guard/weigh-replacement.ts'
import { hasQuorum, nameOf } from '../drbd/support/truth.ts'
import { anySite, host, node, site, volume, whole } from './pictures.ts'

const dead = (...gone: readonly number[]) => ({
  hosts: [0, 1, 2].map((i) => host(i, gone.includes(i) ? { answers: false, images: undefined } : {})),
  nodes: [0, 1, 2].map((i) => node(i, gone.includes(i) ? { state: 'down', reachability: 'unreachable' } : {})),
})
/** As the others see it once they miss it. */
const missed = (...gone: readonly number[]) => {
  const truth = whole(0)
  return { ...truth, links: truth.links.map((row, a) => row.map((up, b) => up && !gone.includes(a) && !gone.includes(b))) }
}

describe('a host that is to be replaced', () => {
  it('may be where the others have all that it had', () => {
    const picture = site({ ...dead(1), volumes: [volume('data', missed(1), (i) => i !== 1)] })
    const verdict = weighReplacement(picture, nameOf(1), false)
    assert.deepEqual(objections(verdict), [])
    assert.match(verdict.reasons.map(({ text }) => text).join('; '), /the swarm keeps 2 of 3 managers.*volume data: h0.site has quorum/)
  })

  it('is kept where hosts that do not answer may have gone on together, and may be where its machine is gone already', () => {
    const { hosts } = dead(1, 2)
    const picture = site({ hosts, nodes: [node(0)], volumes: [volume('data', { ...missed(1, 2), had: [false, true, true] }, (i) => i === 0)] })
    assert.match(objections(weighReplacement(picture, nameOf(1), false)).join(), /the last valid copy of volume data may be on h1\.site/)
    assert.deepEqual(objections(weighReplacement(picture, nameOf(1), true)), [])
  })

  it('is weighed as one that goes away where it answers', () => {
    const picture = site({ ...dead(2), volumes: [volume('data', missed(2), (i) => i !== 2)] })
    assert.match(objections(weighReplacement(picture, nameOf(1), true)).join(), /would have 1 of 3 managers.*volume data would have no quorum/)
  })

  it('is never given up, in any state of a site, where nobody else that answers has an UpToDate copy, or it may have gone on without them', () => {
    let yes = 0
    fc.assert(
      fc.property(anySite, fc.nat(4), ({ picture, truths }, x) => {
        const silent = picture.hosts.flatMap(({ answers }, i) => (answers ? [] : [i]))
        const self = silent[x % Math.max(1, silent.length)]
        if (self === undefined) return
        if (!weighReplacement(picture, nameOf(self), false, new Set(['a', 'b', 'c'])).yes) return
        yes += 1
        for (const truth of truths) {
          if (truth.disks[self] === 'client') continue
          const answers = (i: number): boolean => picture.hosts[i]?.answers === true
          const elsewhere = truth.disks.flatMap((disk, i) => (i !== self && disk === 'UpToDate' && answers(i) ? [i] : []))
          assert.ok(elsewhere.length > 0, 'no other copy is known')
          const serves = (i: number): boolean => truth.had[i] === true && hasQuorum(truth, i, true)
          assert.ok(!serves(self) || elsewhere.some((i) => truth.links[self]?.[i] === true || serves(i)), 'it may have gone on alone')
        }
      }),
      { numRuns: 10_000 },
    )
    assert.ok(yes > 20, `only ${yes} were yes`)
  })
})
