import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { behindOf, leftOn, notBack, notWholeOn, runningOf } from '../../../coordinator/hosts/settled.ts'
import type { Truth } from '../drbd/support/truth.ts'
import { host, node, service, shortOf, site, volume, whole } from '../guard/pictures.ts'

const none = new Set<string>()
const cut = (from: Truth, i: number): Truth => ({ ...from, links: from.links.map((row, a) => row.map((up, b) => up && a !== i && b !== i)) })

describe('a host that started anew', () => {
  it('is back when swarm and volumes are whole, as it and its peers see them', () => {
    const at = (truth: Truth) => notBack(site({ volumes: [volume('data', truth)] }), host(1), none)
    assert.deepEqual(at(whole(0)), [])
    assert.deepEqual(at(whole(0, ['UpToDate', 'Inconsistent', 'UpToDate'])), ['the copy of data on h1.site is Inconsistent'])
    assert.deepEqual(at(whole(0, ['UpToDate', 'UpToDate', 'Outdated'])), ['the copy of data on h2.site is not UpToDate'])
    assert.deepEqual(at(cut(whole(0), 1)), ['data on h1.site is Connecting to h0.site, Connecting to h2.site'])
    assert.deepEqual(at({ ...whole(0), had: [true, false, true] }), ['data has no quorum on h1.site'])
    assert.deepEqual(at(whole(0, ['UpToDate', 'client', 'UpToDate'])), [])
  })

  it('is not back while its node or its part of the raft is not', () => {
    assert.deepEqual(notBack(site({ nodes: undefined }), host(1), none), ['no manager of the swarm answers'])
    assert.deepEqual(notBack(site({ nodes: [node(0), node(1, { state: 'down' })] }), host(1), none), ['its swarm node is down'])
    assert.deepEqual(notBack(site({ nodes: [node(0), node(1, { reachability: 'unreachable' })] }), host(1), none), ['as a manager it is unreachable'])
    assert.deepEqual(notBack(site({ nodes: undefined }), host(1, { isHive: false }), none), [])
  })

  it('is excused from what was not whole before', () => {
    const picture = site({ volumes: [volume('data', whole(0, ['UpToDate', 'Inconsistent', 'UpToDate'])), volume('old', cut(whole(0), 1))] })
    assert.deepEqual([...notWholeOn(picture, host(1)).keys()], ['data', 'old'])
    assert.equal(notBack(picture, host(1), new Set(['old'])).length, 1)
  })

  it('is missed in a volume that it has not up, and that others have', () => {
    const data = volume('data', whole(0))
    const down = { ...data, hosts: new Map([...data.hosts, ['h1.site', { status: undefined }]]) }
    assert.deepEqual(notBack(site({ volumes: [down] }), host(1), none), ['data is not up on h1.site'])
    const silent = { ...data, hosts: new Map([...data.hosts, ['h1.site', undefined]]) }
    assert.deepEqual(notBack(site({ volumes: [silent] }), host(1), none), ['h1.site does not tell of data'])
    const nowhere = { ...data, hosts: new Map([...data.hosts.keys()].map((name) => [name, { status: undefined }])) }
    assert.deepEqual(notBack(site({ volumes: [nowhere] }), host(1), none), [])
  })
})

describe('a drained host', () => {
  const stopping = service('web', [0], {
    tasks: [
      { node: shortOf(0), state: 'running', wanted: false },
      { node: shortOf(1), state: 'starting', wanted: true },
    ],
  })

  it('is waited for until tasks have ended there and run elsewhere, and no volume is Primary', () => {
    const picture = site({ services: [stopping], volumes: [volume('data', whole(0))] })
    assert.deepEqual(leftOn(picture, host(0), new Map([['web', 1]])), [
      'web still runs on h0',
      'web runs with 0 of 1 elsewhere',
      'volume data is still Primary on h0',
    ])
    assert.deepEqual(leftOn(site({ services: [service('web', [1])], volumes: [volume('data', whole(1))] }), host(0), new Map([['web', 1]])), [])
  })

  it('is not waited for where it is away: only for what has to come up elsewhere', () => {
    const nodes = [node(0, { state: 'down' }), node(1)]
    assert.deepEqual(leftOn(site({ nodes, services: [stopping] }), host(0), new Map([['web', 1]])), ['web runs with 0 of 1 elsewhere'])
  })

  it('does not wait for a service that was removed meanwhile', () => {
    assert.deepEqual(leftOn(site(), host(0), new Map([['web', 1]])), [])
  })
})

describe('services', () => {
  it('are behind with fewer running tasks than before, on hosts that are ready', () => {
    const picture = site({ nodes: [node(0), node(1, { state: 'down' })], services: [service('web', [0, 1])] })
    assert.deepEqual([...runningOf(picture)], [['web', 1]])
    assert.deepEqual(behindOf(picture, new Map([['web', 2]])), ['web runs with 1 of 2'])
    assert.deepEqual(behindOf(picture, new Map([['web', 1]])), [])
  })
})
