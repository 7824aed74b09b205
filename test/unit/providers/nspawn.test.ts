import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mountsBelow } from '../../../coordinator/providers/nspawn/host-root.ts'
import { gatewayOf, listens } from '../../../coordinator/providers/nspawn/network.ts'
import { hostAction, powerOf } from '../../../coordinator/providers/nspawn/plan.ts'
import { type HostRecord, hostFolder, type StageIdentity, stageFolder } from '../../../coordinator/providers/nspawn/stage-folder.ts'

const site: StageIdentity = { name: 'pdns', stage: 'private', root: '/srv/one', contextDir: '/srv/one/.hive/private' }
const host = { name: 'hive0.pdns', shortName: 'hive0', address: '10.1.0.5', prefixLength: 24 }
const record: HostRecord = { ...host, baseRoot: '/base', complete: true }

describe('names of an nspawn stage', () => {
  it('differ between folders and between stages, and are the same every time', () => {
    const ids = [site, { ...site, root: '/srv/two' }, { ...site, stage: 'staging' as const }].map((identity) => stageFolder(identity).id)
    assert.equal(new Set(ids).size, 3)
    assert.equal(stageFolder({ ...site }).id, ids[0])
  })

  it('fit what the kernel and systemd allow, however long the site and its hosts are called', () => {
    const stage = stageFolder({ ...site, name: 'A very long name, with signs!'.repeat(3) })
    const { machine, switchPort } = hostFolder(stage, 'a-host-name-that-goes-on-and-on-for-a-while')
    assert.ok(switchPort.length <= 15)
    assert.match(machine, /^[a-z0-9-]{1,64}$/)
    assert.notEqual(switchPort, hostFolder(stage, 'a-host-name-that-goes-on-and-on-for-a-time').switchPort)
  })
})

describe('the plan of an nspawn stage', () => {
  it('is empty for a host that runs at its address', () => {
    assert.equal(hostAction(host, { record, running: true }), undefined)
  })

  it('creates what is absent or half made, starts what is off', () => {
    assert.equal(hostAction(host, { record: undefined, running: false })?.kind, 'create')
    assert.equal(hostAction(host, { record: { ...record, complete: false }, running: false })?.kind, 'create')
    assert.equal(hostAction(host, { record, running: false })?.kind, 'start')
  })

  it('calls a new address of a running host a reboot', () => {
    const action = hostAction({ ...host, address: '10.1.0.9' }, { record, running: true })
    assert.equal(action?.kind, 'move')
    assert.equal(action?.disruption, 3)
    assert.match(action?.before ?? '', /10\.1\.0\.5/)
  })

  it('tells absent, halted and running apart', () => {
    assert.deepEqual(
      [powerOf({ record: undefined, running: false }), powerOf({ record, running: false }), powerOf({ record, running: true })],
      ['absent', 'halted', 'running'],
    )
  })
})

describe('the network of an nspawn stage', () => {
  it("has its gateway at the first address of the host's own network", () => {
    assert.equal(gatewayOf({ ...host, address: '10.1.0.70', prefixLength: 26 }, [host]), '10.1.0.65')
  })

  it('moves the gateway where a host has the first address', () => {
    const first = { ...host, address: '10.1.0.1' }
    assert.equal(gatewayOf(host, [host, first]), '10.1.0.254')
  })

  it("finds a listening port in the kernel's table, and no connected one", () => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
    const listening = `${head}   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n`
    const connected = `${head}   0: 0500010A:0016 0100010A:D431 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n`
    assert.equal(listens([listening], 22), true)
    assert.equal(listens([connected], 22), false)
    assert.equal(listens([listening], 23), false)
  })
})

describe('mounts below a folder', () => {
  it('come deepest first, and neighbours with a longer name are not among them', () => {
    const line = (path: string): string => `30 20 0:30 / ${path} rw - overlay hive rw`
    const mountinfo = [line('/var/s/a'), line('/var/s/a/root'), line('/var/s/ab'), line('/var/s/a/with\\040space')].join('\n')
    assert.deepEqual(mountsBelow(mountinfo, '/var/s/a'), ['/var/s/a/with space', '/var/s/a/root', '/var/s/a'])
  })
})
