import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Metadata } from '@grpc/grpc-js'
import type { AllowRestoreResponse, BackupOffersResponse, ListBackupsResponse, LoadInput, LoadOutput } from '#gen/hive/v1/backup.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { ask } from '../agent-core/agent-bed.ts'
import { hive, repository, script, type TwoAgents, target, told, twoAgents } from './two-agents.ts'

const dumps = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /\d{14}/.test(name))
        .sort()
    : []
const records = (agents: TwoAgents): Record<string, Record<string, unknown>> => JSON.parse(readFileSync(join(agents.stateDir, 'backups.json'), 'utf8'))
const list = (agents: TwoAgents): Promise<ListBackupsResponse> => ask((...rest) => agents.store.list({}, ...rest))

suite('backups of a service on another host', () => {
  let agents: TwoAgents
  let data = ''
  before(async () => {
    agents = await twoAgents()
    data = join(agents.folder, 'data')
  })
  after(() => agents.close())
  beforeEach(() => {
    agents.running = true
    rmSync(agents.backups, { recursive: true, force: true })
    rmSync(data, { recursive: true, force: true })
    mkdirSync(join(data, 'deep/er'), { recursive: true })
    writeFileSync(join(data, '.hidden'), 'h')
    writeFileSync(join(data, 'deep/er/-dash it'), 'content')
    symlinkSync('deep/er', join(data, 'link'))
  })
  const run = (...names: string[]) => told(agents.store.run({ names }))
  const withDirectory = (more = {}): void => agents.configure([script({ directory: data, ...more })], [target({})])

  test('a folder becomes an archive with manifest and link, whole for everybody who reads tar', async () => {
    withDirectory()
    const events = await run()
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['STARTED', 'DONE'],
    )
    const [file = ''] = dumps(agents.backups)
    assert.match(file, /^backup-pages-\d{14}\.tar\.gz$/)
    assert.equal(readlinkSync(join(agents.backups, 'backup-pages-latest.tar.gz')), file)
    const bytes = readFileSync(join(agents.backups, file))
    const manifest = JSON.parse(readFileSync(join(agents.backups, 'manifest', `${file}.json`), 'utf8'))
    assert.equal(manifest.sha256, createHash('sha256').update(bytes).digest('hex'))
    assert.equal(manifest.size, bytes.length)
    assert.equal(manifest.host, hive)
    assert.deepEqual(manifest.stages, [
      { name: 'tar', exitCode: 0 },
      { name: 'gzip', exitCode: 0 },
    ])
    const names = execFileSync('tar', ['-tzf', join(agents.backups, file)], { encoding: 'utf8' })
    for (const name of ['./.hidden', './deep/er/-dash it', './link']) assert.ok(names.split('\n').includes(name), names)
    assert.equal(lstatSync(join(agents.backups, file)).mode & 0o777, 0o600)
    assert.equal(records(agents)['pages']?.['sha256'], manifest.sha256)
    // What hive-builder's tools take by their patterns.
    assert.deepEqual(
      readdirSync(agents.backups)
        .filter((name) => name.startsWith('backup-pages-'))
        .sort(),
      [file, 'backup-pages-latest.tar.gz'],
    )
  })

  test('a dump that fails, breaks off or is empty keeps the old one, the link and the files that are too old', async () => {
    const command = (backupCommand: string) => agents.configure([script({ backupCommand })], [target({ ext: 'sql', cleanupDaysBefore: 1 })])
    command('echo good')
    await run()
    const [good = ''] = dumps(agents.backups)
    const old = 'backup-pages-20200101010000.sql'
    writeFileSync(join(agents.backups, old), 'old')
    utimesSync(join(agents.backups, old), new Date(2020, 0, 1), new Date(2020, 0, 1))
    const size = records(agents)['pages']?.['lastSuccess']
    for (const [bad, reason] of [
      ['echo half; exit 3', /ended with exit code 3/],
      ['(echo half; echo no such table >&2; exit 2) | cat', /ended with exit code 2.*no such table/],
      ['true', /it is empty/],
      ['echo half | gzip | head -c 20', /gzip data breaks off/],
      ["printf -- '-- MySQL dump 10\\n--\\nINSERT 1;\\n'", /SQL dump breaks off/],
      ['kill -9 $$', /exit code/],
    ] as const) {
      command(bad)
      const events = await run()
      assert.match(events.find(({ kind }) => kind === 'FAILED')?.text ?? JSON.stringify(events), reason)
      assert.deepEqual(dumps(agents.backups), [old, good])
      assert.equal(readlinkSync(join(agents.backups, 'backup-pages-latest.sql')), good)
      assert.equal(
        readdirSync(agents.backups).some((name) => name.endsWith('.part')),
        false,
      )
      assert.equal(readdirSync(join(agents.backups, 'manifest')).length, 1)
      const { lastSuccess, lastFailure, reason: told } = records(agents)['pages'] ?? {}
      assert.equal(lastSuccess, size)
      assert.ok(typeof lastFailure === 'string' && typeof told === 'string')
    }
    command('echo better')
    const events = await run()
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['STARTED', 'DONE', 'REMOVED'],
    )
    assert.equal(dumps(agents.backups).includes(old), false)
    assert.equal(dumps(agents.backups).includes(good), true)
    assert.equal(records(agents)['pages']?.['lastFailure'], undefined)
  })

  test('batch scripts run before it; what fails of them is told and stops nothing', async () => {
    agents.configure([script({ directory: data, batchScripts: [`echo first > ${data}/made`, 'echo trouble >&2; exit 4'] })], [target({})])
    const events = await run()
    assert.match(events.find(({ kind }) => kind === 'WARNING')?.text ?? '', /batch script 2 ended with exit code 4: trouble/)
    const [file = ''] = dumps(agents.backups)
    assert.match(execFileSync('tar', ['-tzf', join(agents.backups, file)], { encoding: 'utf8' }), /\.\/made/)
    agents.configure([script({ batchScripts: ['true'] })], [target({ noFile: true })])
    assert.deepEqual(
      (await run()).map(({ kind }) => kind),
      ['STARTED', 'DONE'],
    )
  })

  test('backup_file is what the command makes', async () => {
    const file = join(agents.folder, 'made by command')
    agents.configure([script({ backupCommand: `echo made > '${file}'`, backupFile: file })], [target({ ext: 'txt' })])
    await run()
    assert.equal(readFileSync(join(agents.backups, dumps(agents.backups)[0] ?? ''), 'utf8'), 'made\n')
  })

  test('a service that runs nowhere is told, and others are backed up', async () => {
    agents.configure([script({ directory: data })], [target({ name: 'other', service: 'gone' }), target({})])
    const events = await run()
    assert.match(events.find(({ kind, name }) => kind === 'FAILED' && name === 'other')?.text ?? '', /no host offers a dump of gone/)
    assert.equal(events.at(-1)?.kind, 'DONE')
  })

  const restore = async (from = '', confirm = 'web') => {
    const [whole] = (await told(agents.store.verify({ names: ['pages'], file: from, allFiles: false }))).filter(({ kind }) => kind === 'DONE')
    const sha256 = whole?.sha256 ?? ''
    const { ticket } = await ask<AllowRestoreResponse>((...rest) =>
      agents.source.allowRestore({ service: 'web', script: 'pages', sha256, confirm: 'web' }, ...rest),
    )
    return told(agents.store.restore({ name: 'pages', file: from, sha256, confirm, host: hive, ticket }))
  }

  test('a restore brings back what was there, and takes away what was not', async () => {
    withDirectory()
    await run()
    rmSync(join(data, '.hidden'))
    rmSync(join(data, 'link'))
    writeFileSync(join(data, 'new'), '')
    writeFileSync(join(data, '.new'), '')
    const events = await restore()
    assert.equal(events.at(-1)?.kind, 'DONE')
    assert.deepEqual(readdirSync(data).sort(), ['.hidden', 'deep', 'link'])
    assert.equal(readFileSync(join(data, 'deep/er/-dash it'), 'utf8'), 'content')
  })

  test('an archive of hive-builder is restored, and its files take part in retention', async () => {
    withDirectory()
    mkdirSync(agents.backups, { recursive: true })
    const file = 'backup-pages-20260101010000.tar.gz'
    execFileSync('sh', ['-c', 'cd "$1" && tar czf "$2" * .hidden', 'sh', data, join(agents.backups, file)])
    symlinkSync(file, join(agents.backups, 'backup-pages-latest.tar.gz'))
    writeFileSync(join(data, 'new'), '')
    await restore()
    assert.deepEqual(readdirSync(data).sort(), ['.hidden', 'deep', 'link'])
    const [backup] = (await list(agents)).backups
    assert.deepEqual(
      backup?.files.map(({ file: name, latest, sha256 }) => [name, latest, sha256]),
      [[file, true, '']],
    )
  })

  test('a restore is refused without the name, without leave, and for a file that is damaged', async () => {
    withDirectory()
    await run()
    const [file = ''] = dumps(agents.backups)
    await assert.rejects(restore('', 'pages'), (error) => /replaces what web holds/.test(fromServiceError(error).message))
    await assert.rejects(told(agents.store.restore({ name: 'pages', file: '', sha256: '', confirm: 'web', host: hive, ticket: 'f'.repeat(64) })), (error) =>
      /nobody has allowed this restore/.test(fromServiceError(error).message),
    )
    const path = join(agents.backups, file)
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    writeFileSync(path, bytes)
    writeFileSync(join(data, 'new'), '')
    const [failed] = (await told(agents.store.verify({ names: [], file: '', allFiles: true }))).filter(({ kind }) => kind === 'FAILED')
    assert.match(failed?.text ?? '', /its checksum is not the one/)
    await assert.rejects(restore(), (error) => /checksum/.test(fromServiceError(error).message))
    assert.equal(existsSync(join(data, 'new')), true)
  })

  test('leave is given once and for one dump', async () => {
    withDirectory()
    const give = () =>
      ask<AllowRestoreResponse>((...rest) => agents.source.allowRestore({ service: 'web', script: 'pages', sha256: 'a'.repeat(64), confirm: 'web' }, ...rest))
    const { ticket } = await give()
    const peer = agents.sourceAs(await agents.ca.issue('hive:agent', repository))
    const load = async (sha256: string): Promise<string> => {
      const call = peer.load(new Metadata())
      const messages: LoadInput['input'][] = [
        { $case: 'start', value: { service: 'web', script: 'pages', sha256, size: 1n, ticket } },
        { $case: 'chunk', value: Buffer.from('x') },
      ]
      for (const input of messages) call.write({ input })
      call.end()
      try {
        for await (const _output of call as AsyncIterable<LoadOutput>) void _output
        return 'done'
      } catch (error) {
        return fromServiceError(error).message
      }
    }
    assert.match(await load('b'.repeat(64)), /nobody has allowed/)
    // It broke off before its end, so nothing was replaced; the leave is gone.
    assert.doesNotMatch(await load('a'.repeat(64)), /nobody has allowed|done/)
    assert.equal(existsSync(join(data, '.hidden')), true)
    assert.match(await load('a'.repeat(64)), /nobody has allowed/)
  })

  test('of the hosts only the repository server may ask for dumps, and nobody by a name that was not told', async () => {
    withDirectory()
    const other = agents.sourceAs(await agents.ca.issue('hive:agent', 'hive1.example.site'))
    await assert.rejects(
      ask<BackupOffersResponse>((...rest) => other.offers({}, ...rest)),
      (error) => /not for hive1/.test(fromServiceError(error).message),
    )
    const peer = agents.sourceAs(await agents.ca.issue('hive:agent', repository))
    const dump = async (service: string, name: string): Promise<void> => {
      for await (const _output of peer.dump({ service, script: name })) void _output
    }
    await dump('web', 'pages')
    await assert.rejects(dump('web', 'anything; rm -rf /'), (error) => fromServiceError(error).code === 'not-found')
  })

  test('a drill restores elsewhere, compares, and is dated', async () => {
    withDirectory()
    await run()
    writeFileSync(join(data, 'since'), '')
    const events = await told(agents.store.drill({ names: [] }))
    assert.match(events.at(-1)?.text ?? '', /5 entries, the same as in the archive/)
    assert.equal(existsSync(join(data, 'since')), true)
    assert.ok(records(agents)['pages']?.['provenAt'])
    const [backup] = (await list(agents)).backups
    assert.ok(backup?.files[0]?.proven !== undefined && backup.record?.proven !== undefined)
    // The next backup is another file; when one was last proven stays known.
    await run()
    assert.ok(records(agents)['pages']?.['provenAt'])
  })

  test('a command is restored by its input, and a file by its command', async () => {
    const out = join(agents.folder, 'restored')
    agents.configure([script({ backupCommand: 'echo data', restoreCommand: `cat > ${out}` })], [target({ ext: 'sql' })])
    await run()
    await restore()
    assert.equal(readFileSync(out, 'utf8'), 'data\n')
    rmSync(out)
    const file = join(agents.folder, 'upload')
    agents.configure([script({ backupCommand: 'echo data', restoreFile: file, restoreCommand: `mv ${file} ${out}` })], [target({ ext: 'sql' })])
    await restore()
    assert.equal(readFileSync(out, 'utf8'), 'data\n')
    agents.configure([script({ backupCommand: 'echo data', restoreCommand: 'cat > /dev/null; echo no >&2; exit 9' })], [target({ ext: 'sql' })])
    await assert.rejects(restore(), (error) => /restore_command ended with exit code 9/.test(fromServiceError(error).message))
  })

  test('what the agent packs itself it unpacks, and a command that fails before it is no small dump', async () => {
    const out = join(agents.folder, 'unpacked')
    const packed = (backupCommand: string) =>
      agents.configure(
        [script({ service: '', name: 'own', onHost: true, packed: true, backupCommand, restoreCommand: `cat > ${out}` })],
        [target({ name: 'own', service: '', ext: 'txt.gz' })],
      )
    packed('echo data')
    await run()
    assert.equal(gunzipSync(readFileSync(join(agents.backups, 'backup-own-latest.txt.gz'))).toString(), 'data\n')
    await told(agents.store.restore({ name: 'own', file: '', sha256: '', confirm: 'own', host: '', ticket: '' }))
    assert.equal(readFileSync(out, 'utf8'), 'data\n')
    packed('echo data; exit 5')
    assert.match((await run()).at(-1)?.text ?? '', /exit code 5/)
    assert.equal(dumps(agents.backups).length, 1)
  })

  test('one thing at a time', async () => {
    const gate = join(agents.folder, 'gate')
    execFileSync('mkfifo', [gate])
    agents.configure([script({ backupCommand: `cat ${gate}`, restoreCommand: 'cat' })], [target({ ext: 'txt' })])
    const first = run()
    while ((await list(agents)).doing === '') await new Promise((resolve) => setImmediate(resolve))
    await assert.rejects(run(), (error) => fromServiceError(error).code === 'locked')
    await assert.rejects(told(agents.store.drill({ names: [] })), (error) => /backup of pages is under way/.test(fromServiceError(error).message))
    // Waits for the reader, which this process is to start.
    spawn('sh', ['-c', 'echo through > "$1"', 'sh', gate])
    assert.equal((await first).at(-1)?.kind, 'DONE')
    assert.equal((await list(agents)).doing, '')
  })

  test('names that belong to nothing are told before anything is done', async () => {
    withDirectory()
    await assert.rejects(run('web', 'nothing'), (error) => /no backup belongs to nothing/.test(fromServiceError(error).message))
    assert.deepEqual(dumps(agents.backups), [])
    assert.equal((await run('web')).at(-1)?.kind, 'DONE')
  })

  test('the server’s own folder is restored from an archive that begins higher up, too', async () => {
    const storage = join(agents.folder, 'storage')
    mkdirSync(join(storage, 'docker/registry/v2'), { recursive: true })
    writeFileSync(join(storage, 'docker/registry/v2/blob'), 'b')
    agents.configure([script({ service: '', name: 'hive-registry', directory: storage, onHost: true })], [target({ name: 'hive-registry', service: '' })])
    await run()
    assert.match((await told(agents.store.drill({ names: [] }))).at(-1)?.text ?? '', /the same as in the archive/)
    const high = join(agents.folder, 'high')
    mkdirSync(join(high, 'var/lib/registry'), { recursive: true })
    execFileSync('cp', ['-a', join(storage, 'docker'), join(high, 'var/lib/registry/')])
    execFileSync('tar', ['-C', high, '-czf', join(agents.backups, 'backup-hive-registry-20260101010000.tar.gz'), 'var'])
    rmSync(join(storage, 'docker'), { recursive: true })
    const ownRestore = (file: string) => told(agents.store.restore({ name: 'hive-registry', file, sha256: '', confirm: 'hive-registry', host: '', ticket: '' }))
    await ownRestore('backup-hive-registry-20260101010000.tar.gz')
    assert.equal(readFileSync(join(storage, 'docker/registry/v2/blob'), 'utf8'), 'b')
    await ownRestore('')
    assert.deepEqual(readdirSync(storage), ['docker'])
  })
})
