/** A mirrored volume of three hosts, the third without a disk. */
import type { ResourceFileSpec } from '../../agent/adapters/drbd/resource-file.ts'

export const node = (nodeId: number, diskless = false) => ({ name: `s-hive${nodeId}.pdns`, address: `10.0.0.${10 + nodeId}`, nodeId, diskless })

export const resourceFileSpec = (changes: Partial<ResourceFileSpec> = {}): ResourceFileSpec => ({
  name: 'pdnsdb_data',
  minor: 1,
  port: 7001,
  volumeGroup: 'drbdvg',
  thinPool: 'drbdpool',
  nodes: [node(0), node(1), node(2, true)],
  sharedSecret: 'aB3'.repeat(21),
  ...changes,
})
