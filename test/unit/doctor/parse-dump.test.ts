import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseDump } from '../../../agent/adapters/drbd/parse-dump.ts'

const fixture = (path: string): string => readFileSync(new URL(`../../fixtures/drbd9/${path}`, import.meta.url), 'utf8')

test('hosts, node ids, disks and addresses of a resource file', () => {
  const { minor, port, nodes, disks } = parseDump(fixture('07-primary-mounted-autopromote/s-hive0/drbdadm-dump.txt'))
  assert.equal(minor, 1)
  assert.equal(port, 7789)
  assert.deepEqual(nodes[2], { name: 's-hive2.pdns', address: '10.77.0.12', nodeId: 2, diskless: false })
  assert.equal(disks.get('s-hive1.pdns'), '/dev/vda')
})

test('an IPv6 address, a host without a disk', () => {
  const text = `resource r {
    on a.x {
        node-id 4;
        volume 0 {
            device       minor 12;
            disk         none;
        }
        address          ipv6 [fd00::1]:7012;
    }
}
`
  assert.deepEqual(parseDump(text).nodes, [{ name: 'a.x', address: 'fd00::1', nodeId: 4, diskless: true }])
  assert.equal(parseDump(text).port, 7012)
})
