/** A stage's context handed from one machine to another. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { filesOf, isShared, sharedFiles } from '../../../coordinator/context/context-files.ts'
import { aboutOf, seal, unseal } from '../../../coordinator/context/sealed-file.ts'
import { exportContext, importContext } from '../../../coordinator/context/share.ts'
import { refuseOthers, releaseTeamLock, takeTeamLock, teamLockOf } from '../../../coordinator/context/team-lock.ts'
import { readPersistents } from '../../../coordinator/inventory/persistents.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { acquireLocalLock } from '../../../coordinator/run/local-lock.ts'
import { newOwner } from '../../../coordinator/run/process-identity.ts'
import { HiveError } from '../../../proto/errors.ts'
import { tempFolder } from './support/temp.ts'

const now = new Date('2026-11-26T12:00:00Z')
const secret = 'correct horse battery'
const about = { stage: 'staging', ca: 'ff', by: 'me@here', at: now.toISOString() }
const coded = (code: string) => (error: unknown) => error instanceof HiveError && error.code === code

/** A site with a stage that has been deployed from this machine. */
async function deployedSite(t: TestContext) {
  const root = tempFolder(t)
  const contextDir = join(root, '.hive/staging')
  const pki = new StagePki({ contextDir, siteName: 'test' })
  await pki.adminCredentials()
  await pki.issueClient({ name: 'anna', role: 'hive:reader' })
  for (const [name, text] of Object.entries({ id_rsa: 'key', 'state.json': '{"drbd": 1}', 'runs/1.jsonl': 'run', netns: 'x', 'deep/er/file': 'y' })) {
    mkdirSync(join(contextDir, name, '..'), { recursive: true })
    writeFileSync(join(contextDir, name), text, { mode: 0o600 })
  }
  symlinkSync('/etc/passwd', join(contextDir, 'link'))
  writeFileSync(
    join(root, '.hive/persistents.yml'),
    JSON.stringify({
      stage: { global: 'staging' },
      drbd_device_map: { staging: { data: 3 }, production: { data: 1 } },
      tls_logging: { staging: true },
      aws_secret_access_key: { staging: 'hidden' },
    }),
  )
  return { root, contextDir, stage: 'staging' as const, pki }
}

test('whoever imports it has the CA, what it revoked, keys and allocations; certificates, journals and accounts stay where they were', async (t) => {
  const from = await deployedSite(t)
  const [anna] = from.pki.issued().filter(({ name }) => name === 'anna')
  assert.ok(anna)
  from.pki.revoke(anna, 'left')
  const sealed = await exportContext(from, async () => secret, now)
  assert.equal(sealed.includes('hidden') || sealed.includes('PRIVATE'), false)
  const root = tempFolder(t)
  const to = { root, contextDir: join(root, '.hive/staging'), stage: 'staging' as const }
  mkdirSync(join(root, '.hive'))
  writeFileSync(join(root, '.hive/persistents.yml'), JSON.stringify({ drbd_device_map: { private: { other: 9 } } }))
  const { before, about: told } = await importContext(to, sealed, async () => secret, { overwrite: undefined, now })
  assert.equal(before, undefined)
  assert.equal(told.stage, 'staging')
  assert.deepEqual(readdirSync(to.contextDir).sort(), ['ca', 'deep', 'id_rsa', 'state.json'])
  assert.equal(readFileSync(join(to.contextDir, 'deep/er/file'), 'utf8'), 'y')
  assert.equal(statSync(join(to.contextDir, 'id_rsa')).mode & 0o777, 0o600)
  assert.equal(statSync(to.contextDir).mode & 0o777, 0o700)
  const pki = new StagePki({ contextDir: to.contextDir, siteName: 'test', identity: 'ben@there' })
  assert.equal(pki.caPem, from.pki.caPem)
  assert.deepEqual(
    pki.revoked().map(({ name }) => name),
    ['anna'],
  )
  await pki.adminCredentials()
  const persistents = readPersistents(root)
  // Stages that went by another one's numbers keep these.
  assert.deepEqual(persistents['drbd_device_map'], { private: { other: 9 }, production: { other: 9 }, staging: { data: 3 } })
  assert.deepEqual([persistents['tls_logging'], persistents['aws_secret_access_key'], persistents['stage']], [{ staging: true }, undefined, undefined])
})

test('a context that is there is put aside only where the stage is named, and own certificates and journals stay', async (t) => {
  const from = await deployedSite(t)
  const sealed = await exportContext(from, async () => secret, now)
  const to = await deployedSite(t)
  const theirs = to.pki.caPem
  const take = (overwrite: string | undefined, passphrase = secret) => importContext(to, sealed, async () => passphrase, { overwrite, now })
  await assert.rejects(take(undefined), coded('blocked'))
  await assert.rejects(take('production'), coded('invalid-input'))
  await assert.rejects(take('staging', 'something else'), coded('denied'))
  await assert.rejects(
    importContext({ ...to, stage: 'production' }, sealed, async () => secret, { overwrite: 'production', now }),
    coded('invalid-input'),
  )
  assert.equal(to.pki.caPem, theirs)
  const { before } = await take('staging')
  assert.equal(new StagePki({ contextDir: to.contextDir, siteName: 'test' }).caPem, from.pki.caPem)
  assert.equal(readFileSync(join(before ?? '', 'ca/cacert.pem'), 'utf8'), theirs)
  assert.ok(readdirSync(join(to.contextDir, 'pki')).length > 0)
  assert.equal(readFileSync(join(to.contextDir, 'runs/1.jsonl'), 'utf8'), 'run')
  acquireLocalLock(to.contextDir, newOwner(), 'deploy', now).release()
})

test('neither is done while a run is at work, and nothing is exported while the CA is exchanged', async (t) => {
  const site = await deployedSite(t)
  const sealed = await exportContext(site, async () => secret, now)
  const lock = acquireLocalLock(site.contextDir, newOwner(), 'deploy', now)
  await assert.rejects(
    exportContext(site, async () => secret, now),
    coded('locked'),
  )
  await assert.rejects(
    importContext(site, sealed, async () => secret, { overwrite: 'staging', now }),
    coded('locked'),
  )
  lock.release()
  site.pki.authorities.begin(await site.pki.nextCa(), now)
  await assert.rejects(
    exportContext(site, async () => secret, now),
    coded('blocked'),
  )
})

test('a sealed file opens with its passphrase alone, and not where one bit of it is another', async () => {
  const content = Buffer.from('what is in it')
  const sealed = await seal(content, secret, about, { n: 1024, r: 8, p: 1 })
  assert.deepEqual(await unseal(sealed, secret), content)
  assert.deepEqual(aboutOf(sealed), about)
  await assert.rejects(unseal(sealed, `${secret}!`), coded('denied'))
  const end = sealed.indexOf('\n')
  for (const at of [sealed.indexOf('staging') + 1, end + 1, end + 5, sealed.length - 1]) {
    const turned = Buffer.from(sealed)
    turned[at] = (turned[at] ?? 0) ^ 1
    await assert.rejects(unseal(turned, secret), coded('denied'), `${at}`)
  }
  await assert.rejects(unseal(sealed.subarray(0, end + 10), secret), coded('invalid-input'))
})

test('what is no exported context is refused before anything is tried with it', async () => {
  const header = (fields: object, version = 1): Buffer => Buffer.concat([Buffer.from(`hive-context ${version} ${JSON.stringify(fields)}\n`), Buffer.alloc(40)])
  const good = { ...about, cipher: 'aes-256-gcm', kdf: 'scrypt', n: 1024, r: 8, p: 1, salt: 'AAAA', nonce: 'AAAAAAAAAAAAAAAA' }
  assert.deepEqual(aboutOf(header(good)), about)
  assert.throws(() => aboutOf(header(good, 2)), coded('unsupported'))
  for (const bad of [{ n: 2 ** 30 }, { n: 1000 }, { r: 1000 }, { p: 99 }, { nonce: 'AA' }, { cipher: 'none' }, { kdf: 'md5' }, { stage: 1 }])
    assert.throws(() => aboutOf(header({ ...good, ...bad })), coded('invalid-input'), JSON.stringify(bad))
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, begins) => {
      const file = Buffer.concat([Buffer.from(begins ? 'hive-context 1 {' : ''), bytes])
      await assert.rejects(unseal(file, secret), (error) => error instanceof HiveError)
    }),
  )
})

test('an archive with what a context has not is refused: links, and paths that lead elsewhere', async () => {
  const archive = async (entry: { readonly name: string; readonly type?: 'symlink' | 'file'; readonly linkname?: string }): Promise<Buffer> => {
    const tar = pack()
    if (entry.type === 'symlink') tar.entry({ ...entry, type: 'symlink' })
    else tar.entry({ name: entry.name }, 'x')
    tar.finalize()
    const chunks: Buffer[] = []
    for await (const chunk of tar) chunks.push(chunk as Buffer)
    return promisify(gzip)(Buffer.concat(chunks))
  }
  assert.equal((await filesOf(await archive({ name: 'a/b' }))).length, 1)
  for (const bad of [{ name: '../a' }, { name: 'a/../../b' }, { name: '/etc/x' }, { name: 'a', type: 'symlink' as const, linkname: '/etc' }])
    await assert.rejects(filesOf(await archive(bad)), coded('invalid-input'), bad.name)
  await assert.rejects(filesOf(Buffer.from('nothing')), coded('invalid-input'))
})

test("what is one machine's or one person's is not shared", async (t) => {
  for (const own of ['pki', 'pki/me@here/key.pem', 'runs/1.jsonl', 'run.lock', 'team.lock', 'netns', 'state.json.123.0011aabb'])
    assert.equal(isShared(own), false, own)
  for (const common of ['ca/cakey.pem', 'ca/index.jsonl', 'ca/rotation.json', 'id_rsa', 'state.json', 'registry_password'])
    assert.equal(isShared(common), true, common)
  const { contextDir } = await deployedSite(t)
  assert.ok(!sharedFiles(contextDir).some(({ path }) => path === 'link'))
})

test('who keeps a context works on; others are told who and why, and take it only by naming them', async (t) => {
  const contextDir = tempFolder(t)
  takeTeamLock(contextDir, 'moving to new disks', now, 'anna@desk')
  refuseOthers(contextDir, 'anna@desk')
  assert.throws(
    () => refuseOthers(contextDir, 'ben@desk'),
    (error) => coded('locked')(error) && /anna@desk keeps the stage since 2026.*moving to new disks/.test((error as Error).message),
  )
  assert.throws(() => acquireLocalLock(contextDir, newOwner(), 'deploy', now), coded('locked'))
  assert.throws(() => takeTeamLock(contextDir, '', now, 'ben@desk'), coded('locked'))
  assert.throws(() => releaseTeamLock(contextDir, undefined, 'ben@desk'), coded('locked'))
  assert.throws(() => releaseTeamLock(contextDir, 'cleo@desk', 'ben@desk'), coded('locked'))
  assert.equal(releaseTeamLock(contextDir, 'anna@desk', 'ben@desk')?.by, 'anna@desk')
  assert.equal(teamLockOf(contextDir), undefined)
  acquireLocalLock(contextDir, newOwner(), 'deploy', now).release()
  writeFileSync(join(contextDir, 'team.lock'), '{')
  assert.throws(() => acquireLocalLock(contextDir, newOwner(), 'deploy', now), coded('invalid-input'))
})
