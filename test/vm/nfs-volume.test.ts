/** A real NFS 4.1 server and client, which need a kernel of their own: how a volume on EFS gets its folder and is mounted. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { runInGuest } from './qemu.ts'

interface Left {
  readonly mounts: readonly string[]
  readonly mountPoint: boolean
}

interface Seen {
  readonly first: Left & { readonly milliseconds: number; readonly mode: number; readonly owner: number }
  readonly again: { readonly mode: number }
  readonly volume: { readonly mount: string; readonly read: string; readonly written: string; readonly missing: string }
  readonly stale: Left & { readonly before: readonly string[] }
  readonly away: Left & { readonly value: { readonly code: string; readonly message: string; readonly hint: string } | null }
  readonly folders: readonly string[]
}

const nothingLeft = ({ mounts, mountPoint }: Left): void => assert.deepEqual({ mounts, mountPoint }, { mounts: [], mountPoint: false })

suite('a volume on NFS', { timeout: 900_000 }, () => {
  let seen: Seen

  before(async () => {
    const { output, console } = await runInGuest('test/vm/guest/nfs-volume.ts', { seconds: 400, signal: new AbortController().signal })
    try {
      seen = JSON.parse(output) as Seen
    } catch {
      assert.fail(`the guest answered '${output}'; its console:\n${console.slice(-4000)}`)
    }
  })

  test("has a folder of root's, 0755, made as soon as the server's name is known, and no mount is left", () => {
    assert.ok(seen.first.milliseconds >= 3000, 'the name was known at once')
    assert.deepEqual([seen.first.mode, seen.first.owner], [0o755, 0])
    nothingLeft(seen.first)
  })

  test('keeps its folder as it is when it is made again', () => {
    assert.equal(seen.again.mode, 0o750)
    assert.equal(seen.volume.read, 'data')
  })

  test("is mounted by the kernel with the volume's options, read and written", () => {
    for (const option of ['vers=4.1', 'hard', 'noresvport', 'timeo=600', 'retrans=2']) assert.match(seen.volume.mount, new RegExp(`[ ,]${option}[ ,]`))
    assert.match(seen.volume.mount, /^:\/files \/mnt\/files nfs4 /)
    assert.equal(seen.volume.written, 'by a container')
  })

  test('cannot be mounted without its folder', () => {
    assert.match(seen.volume.missing, /Command failed/)
  })

  test('has its folder made over a mount that a killed run left', () => {
    assert.equal(seen.stale.before.length, 1)
    assert.match(seen.stale.before[0] ?? '', /[ ,]soft[ ,]/)
    nothingLeft(seen.stale)
  })

  test('fails with what to do when the server is away, and leaves no mount, not even an older one', () => {
    assert.equal(seen.away.value?.code, 'command-failed')
    assert.match(seen.away.value?.hint ?? '', /port 2049/)
    nothingLeft(seen.away)
  })

  test('is a folder of its own: nothing else is made', () => {
    assert.deepEqual(seen.folders, ['files', 'other'])
  })
})
