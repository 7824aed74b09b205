/** The fake's metadata in the text of the real drbdmeta, and the sizes that DRBD makes of a device. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withMetadata } from '../../fake-drbd/metadata.ts'
import { freshMetadata, peerMetadata, usableKib } from '../../fake-drbd/state.ts'

// of drbdmeta 9.22 on a device of 64 MiB, right after create-md with room for seven peers
const dump = readFileSync(join(import.meta.dirname, '../../fixtures/drbdmeta/dump-md-created.txt'), 'utf8')

describe('metadata of the fake DRBD', () => {
  it('tells what it decided in the words of dump-md', () => {
    const meta = freshMetadata(7)
    Object.assign(meta, { nodeId: 2, current: '98C3EE38DBFE0D1E', history: ['0C349FC4F6877E1A'], consistent: true, upToDate: true, sizeKib: 65_484 })
    Object.assign(peerMetadata(meta, 1), { bitmap: '5EC7B084C0FC4D8C', outdated: true })
    const changed = withMetadata(dump, meta)
      .split('\n')
      .filter((line, index) => line !== dump.split('\n')[index])
    assert.deepEqual(changed, [
      'node-id 2;',
      'current-uuid 0x98C3EE38DBFE0D1E;',
      'flags 0x00000091;',
      '    bitmap-uuid 0x5EC7B084C0FC4D8C;',
      '    flags 0x00000012;',
      '        0x0C349FC4F6877E1A; 0x0000000000000000; 0x0000000000000000; 0x0000000000000000;',
      'la-size-sect 130968;',
    ])
  })

  it('leaves a disk that was just created as drbdmeta wrote it', () => {
    assert.equal(withMetadata(dump, freshMetadata(7)), dump)
  })

  it('leaves as much room as DRBD does', () => {
    // recorded: size of the device, size of its backing disk
    assert.equal(usableKib(262_144, 7), 262_052)
    assert.equal(usableKib(327_680, 7), 327_572)
    assert.equal(usableKib(65_536, 7), 65_484)
    assert.equal(usableKib(131_072, 7), 131_008)
  })
})
