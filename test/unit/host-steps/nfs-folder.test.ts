import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkFolderName, isMountedAt, isUnresolved, mountPointOf } from '../../../agent/adapters/nfs-folder.ts'
import { stateFolder } from '../../../agent/adapters/state-folder.ts'
import { ensureVolume } from '../../../agent/steps/ensure-volume.ts'
import { HiveError } from '../../../proto/errors.ts'

const mountinfo = (): string =>
  [
    '24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw',
    `91 24 0:52 / ${stateFolder()}/nfs/files rw,nosuid,nodev,noexec,relatime shared:40 - nfs4 fs-1.efs:/ rw,vers=4.1,soft`,
    '92 24 0:53 / /mnt/with\\040blank rw - tmpfs tmpfs rw',
  ].join('\n')

suite('the folder of a volume on NFS', () => {
  test('is looked for as a mount of exactly its place', () => {
    assert.ok(isMountedAt(mountinfo(), mountPointOf({ folder: 'files' })))
    assert.ok(!isMountedAt(mountinfo(), mountPointOf({ folder: 'file' })))
    assert.ok(!isMountedAt(mountinfo(), `${stateFolder()}/nfs`))
    assert.ok(isMountedAt(mountinfo(), '/mnt/with blank'))
  })

  test('has a name that leads nowhere else', () => {
    checkFolderName('pdnsdb_data.2-x')
    for (const name of ['', '.', '..', '../x', 'a/b', '-x', 'a b', 'a\n']) assert.throws(() => checkFolderName(name), { code: 'invalid-input' })
  })

  test('waits for a name that is not known yet, and for nothing else', () => {
    const failed = (line: string): HiveError => new HiveError('command-failed', 'mount: exit code 32', { log: [line] })
    assert.ok(isUnresolved(failed('mount.nfs: Failed to resolve server fs-1.efs.eu-west-1.amazonaws.com: Name or service not known')))
    assert.ok(!isUnresolved(failed('mount.nfs: Connection timed out for fs-1.efs:/ on /x')))
    assert.ok(!isUnresolved(new Error('Name or service not known')))
  })

  test('is not asked for while the address is unknown: the plan says so', async () => {
    const spec = { name: 'files', driver: 'local', options: { type: 'nfs' }, directory: '', nfsFolder: { server: '', folder: 'files', options: '' } }
    const context = { signal: new AbortController().signal } as Parameters<typeof ensureVolume.check>[1]
    const outcome = await ensureVolume.check(spec, context)
    assert.equal(outcome.kind === 'change' && outcome.reason, 'the address of its file system is known once build-infra is done')
  })
})
