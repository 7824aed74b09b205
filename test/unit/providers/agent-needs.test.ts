import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needOf } from '../../../coordinator/bootstrap/agent-needs.ts'
import { rollingOrder } from '../../../coordinator/bootstrap/roll-agents.ts'
import type { Host } from '../../../coordinator/inventory/site.ts'

const wanted = { version: '0.2.0', binarySha256: 'aa' }

test('an agent is upgraded where it is older or another build, and none is made older', () => {
  const need = (version: string, binarySha256 = 'bb') => needOf({ version, binarySha256 }, wanted)?.need
  assert.equal(needOf(undefined, wanted)?.need, 'install')
  assert.equal(need('0.2.0', 'aa'), undefined)
  assert.equal(need('0.2.0'), 'upgrade')
  assert.equal(need('0.1.9'), 'upgrade')
  assert.equal(need('0.0.1'), 'upgrade')
  assert.equal(need('0.2.1'), 'newer')
  assert.equal(need('0.3.0'), 'newer')
  assert.equal(need('0.4.0'), 'too-new')
  assert.equal(need('1.0.0'), 'too-new')
})

const host = (name: string, more: Partial<Host> = {}): Host => ({ name: `${name}.site`, shortName: name, isHive: true, isFirstHive: false, ...more }) as Host
const node = (name: string, role: string, leader = false) => ({ name, role, leader, state: 'ready', availability: 'active' })
const names = (hosts: readonly Host[]) => hosts.map(({ shortName }) => shortName)

test('who is missed least is upgraded first: hosts outside the swarm, workers, managers, the leader', () => {
  const hosts = [host('a'), host('b'), host('c'), host('repo', { isHive: false }), host('w')]
  const nodes = [node('a', 'manager'), node('b', 'manager', true), node('c', 'manager'), node('w.site', 'worker')]
  assert.deepEqual(names(rollingOrder(hosts, nodes)), ['repo', 'w', 'a', 'c', 'b'])
})

test('where no manager tells, the first hive host comes last', () => {
  const hosts = [host('a', { isFirstHive: true }), host('b'), host('repo', { isHive: false })]
  assert.deepEqual(names(rollingOrder(hosts, undefined)), ['repo', 'b', 'a'])
})
