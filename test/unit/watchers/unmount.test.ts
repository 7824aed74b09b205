import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { LoopFileSystem, noLoop } from './loop-file-system.ts'

test('a stale mount is unmounted for real, and stays while a file on it is open', { skip: noLoop }, async () => {
  const loop = new LoopFileSystem()
  try {
    const script = new URL('unmount-alone.ts', import.meta.url).pathname
    // What it mounts goes with its namespace, also when it fails.
    const argv = ['--mount', '--propagation', 'private', process.execPath, script, loop.device, loop.mountPoint]
    const { stdout } = await promisify(execFile)('unshare', argv, { timeout: 60_000 })
    const [busy, free] = JSON.parse(stdout) as Record<string, unknown>[]
    assert.deepEqual([busy?.['signature'], busy?.['kind'], busy?.['mounted']], ['stale-mount', 'did-not-help', 1])
    assert.match(String(busy?.['lines']), /target is busy/)
    assert.deepEqual(free, { signature: 'stale-mount', kind: 'helped', lines: [], mounted: 0 })
  } finally {
    loop.close()
  }
})
