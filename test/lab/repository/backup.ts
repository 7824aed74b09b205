/** Backups of a folder: made, spoiled, kept, restored, proven, made up for a night that was missed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import type { CommandOutcome } from '../harness/lab-site.ts'
import type { RepositoryLab } from './lab.ts'

const folder = '/home/admin/backup'
const state = '/var/lib/hive-agent'
/** A script whose command ends before its dump does, as a lost connection would have it. */
const broken = `
      - name: broken
        ext: txt
        backup_command: cat /data/first; exit 3`

interface Listed {
  readonly backups: readonly {
    readonly name: string
    readonly files: readonly { readonly file: string; readonly latest: boolean; readonly proven?: string }[]
    readonly record?: { readonly lastSuccess?: string; readonly lastFailure?: string; readonly reason: string; readonly proven?: string }
  }[]
}

export function backupTests(lab: RepositoryLab): void {
  const inNotes = (command: string) => lab.site.succeed(['exec', 'notes', '--', 'busybox', 'sh', '-c', command])
  const inFolder = async () => (await lab.onRepository(`ls -A ${folder}`)).trim().split('\n')
  const reasonsOf = ({ result }: CommandOutcome): readonly string[] =>
    (result as { code: string; text: string }[]).filter(({ code }) => code === 'backup.failed').map(({ text }) => text)
  const notes = async () => {
    const { result } = await lab.site.succeed(['backup', 'list'])
    const found = (result as Listed).backups.find(({ name }) => name === 'notes')
    assert.ok(found)
    return found
  }
  const latest = async () => (await notes()).files.find((file) => file.latest)?.file ?? ''

  before(async () => {
    // A disk that can be filled without the host's.
    await lab.onRepository(`install -d -o admin -g admin ${folder} && mount -t tmpfs -o size=96m tmpfs ${folder}`)
    await inNotes('echo kept > /data/kept; mkdir -p /data/deep; echo hidden > /data/deep/.hidden')
  })
  after(async () => {
    await lab.onRepository(`umount ${folder}`)
    await inNotes('rm -rf /data/kept /data/deep /data/large')
  })

  test('a folder of a service on another host is backed up whole, and old ones go only then', async () => {
    await lab.onRepository(`touch -d '10 days ago' ${folder}/backup-notes-20200101010000.tar.gz ${folder}/backup-notes-else-20200101010000.tar.gz`)
    await lab.site.succeed(['backup', 'run', 'notes'])
    const file = await latest()
    assert.match(file, /^backup-notes-\d{14}\.tar\.gz$/)
    const names = await inFolder()
    assert.deepEqual(
      names.filter((name) => name.startsWith('backup-notes-2')),
      [file],
    )
    assert.ok(names.includes('backup-notes-else-20200101010000.tar.gz'))
    const listed = await lab.onRepository(`tar -tzf ${folder}/backup-notes-latest.tar.gz; stat -c '%U %a' ${folder}/${file}`)
    assert.match(listed, /deep\/\.hidden\n/)
    assert.match(listed, /admin 600/)
    await lab.site.succeed(['backup', 'verify', '--all-files', 'notes'])
  })

  test('a command that ends early and a full disk are told, and what was good stays', async () => {
    const good = await latest()
    let unbroken = ''
    lab.site.edit('inventory/services.yml', (text) => {
      unbroken = text
      return text.replace('        cleanup_days_before: 3', `        cleanup_days_before: 3${broken}`)
    })
    await lab.site.succeed(['deploy-services', '--limit', 'notes'])
    const early = await lab.site.run(['backup', 'run', 'broken'])
    assert.equal(early.code, 1)
    assert.match(reasonsOf(early).join(), /backup_command ended with exit code 3/)
    lab.site.edit('inventory/services.yml', () => unbroken)
    await lab.site.succeed(['deploy-services', '--limit', 'notes'])

    await inNotes('dd if=/dev/urandom of=/data/large bs=1M count=110 2>/dev/null')
    const full = await lab.site.run(['backup', 'run', 'notes'])
    assert.equal(full.code, 1)
    assert.match(reasonsOf(full).join(), /became full while the dump was written/)
    await inNotes('rm /data/large')
    await lab.onRepository(`head -c 50M /dev/zero > ${folder}/filler`)
    const before = await lab.site.run(['backup', 'run', 'notes'])
    assert.match(reasonsOf(before).join(), /no room in/)
    await lab.onRepository(`rm ${folder}/filler`)

    assert.equal(await latest(), good)
    assert.equal(
      (await inFolder()).some((name) => name.endsWith('.part') || name.includes('broken')),
      false,
    )
    const told = JSON.parse(await lab.onRepository(`cat ${state}/backups.json`))
    assert.match(told.notes.reason, /no room/)
    assert.ok(told.notes.lastFailure > told.notes.lastSuccess)
  })

  test('it is proven by a drill, and restored onto an empty volume when the name is given', async () => {
    await lab.site.succeed(['backup', 'drill', 'notes'])
    assert.ok((await notes()).record?.proven)
    assert.equal(await lab.onHost(lab.hives[1], 'docker ps -aq --filter label=hive.backup-drill'), '')
    await inNotes('rm -rf /data/kept /data/deep; touch /data/new')
    const unasked = await lab.site.run(['backup', 'restore', 'notes'])
    assert.notEqual(unasked.code, 0)
    await inNotes('test -e /data/new')
    await lab.site.succeed(['backup', 'restore', 'notes', '--confirm', 'notes'])
    await inNotes('test ! -e /data/new && grep -q hidden /data/deep/.hidden && grep -q kept /data/kept')
  })

  test('files go to another machine and come back from there', async () => {
    const to = `${lab.site.folder}/exported`
    await lab.site.succeed(['backup', 'export', 'notes', '--to', to])
    const file = await latest()
    await lab.onRepository(`rm ${folder}/${file}`)
    await inNotes('rm /data/kept')
    await lab.site.succeed(['backup', 'restore', 'notes', '--from', `${to}/${file}`, '--confirm', 'notes'])
    await inNotes('grep -q kept /data/kept')
    assert.equal(await latest(), file)
  })

  test('a night that was missed is made up, of what was not backed up since', async () => {
    const before = await latest()
    await lab.onRepository(`echo '{"done":"2020-01-01T00:00:00Z"}' > ${state}/backup-nights.json`)
    await eventually('the run of the night', 120_000, async () => JSON.parse(await lab.onRepository(`cat ${state}/backup-nights.json`)).done > '2021')
    assert.ok((await inFolder()).includes('backup-hive-registry-latest.tar.gz'))
    assert.equal(await latest(), before)
  })
}
