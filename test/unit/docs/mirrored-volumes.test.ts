import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { renderResource } from '../../../agent/adapters/drbd/resource-file.ts'
import { configFile, previousFile, resourceFile } from '../../../agent/adapters/drbd/resource-store.ts'
import { signatureNames } from '../../../agent/watchers/failover/signatures.ts'
import { states } from '../../../coordinator/doctor/finding.ts'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { siteFolder } from '../inventory/site-folder.ts'

const read = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
const section = (text: string, title: string): string => {
  const [, body = ''] = text.split(`\n## ${title}\n`)
  return body.split('\n## ')[0] ?? ''
}
/** Names in the first column of its tables. */
const named = (text: string): readonly string[] =>
  (text.match(/^\| `[^|]*/gm) ?? []).flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''))

describe('docs/repair.md', () => {
  it('has every state of the doctor, and no other', () => {
    assert.deepEqual(named(section(read('repair.md'), 'What the doctor knows')).toSorted(), Object.keys(states).toSorted())
  })

  it('has them under how grave they are', () => {
    const parts = section(read('repair.md'), 'What the doctor knows').split(/^(?=\S[^|\n]*:$)/m)
    const ranks = parts.filter((part) => named(part).length > 0).map((part) => new Set(named(part).map((name) => states[name as keyof typeof states])))
    assert.deepEqual(ranks, [new Set([1]), new Set([2]), new Set([3])])
  })
})

describe('docs/failures.md', () => {
  it('has every state that agents repair by themselves', () => {
    const table = named(section(read('failures.md'), 'What heals by itself'))
    assert.deepEqual(
      signatureNames.filter((name) => !table.includes(name)),
      [],
    )
  })
})

describe('docs/volumes.md', () => {
  const text = read('volumes.md')
  const node = (nodeId: number) => ({ name: `hive${nodeId}`, address: `192.0.2.${nodeId + 1}`, nodeId, diskless: false })
  const file = renderResource({ name: 'V', minor: 1, port: 7001, volumeGroup: 'drbdvg', thinPool: 'drbdpool', nodes: [node(0), node(1)], sharedSecret: 'x' })
  const settings = file
    .split('\n')
    .slice(0, file.split('\n').indexOf('  on "hive0" {'))
    .flatMap((line) => /^ {4}([a-z0-9-]+ [^";]+|shared-secret)/.exec(line)?.[1] ?? [])

  it('tells every option of a resource file as it is set, and no other', () => {
    const table = named(section(text, 'The resource file'))
    const without = table.map((name) => name.replace(/^(after-sb-[01]pri)$/, '$1 disconnect'))
    assert.deepEqual(without.toSorted(), settings.toSorted())
  })

  it('names the files of a volume where they are', () => {
    for (const path of [resourceFile('V'), configFile('V'), previousFile('V')]) assert.ok(named(section(text, 'On a host')).includes(path), path)
  })

  it('begins with an inventory that works', async (context) => {
    const [hive = '', services = ''] = [...section(text, 'A first one').matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block ?? '')
    const root = siteFolder(context, { 'inventory/hive.yml': hive, 'inventory/services.yml': services })
    const { volumes } = await loadSite({ root, env: {}, stage: 'staging' })
    assert.deepEqual(
      volumes.map(({ name, fstype }) => [name, fstype]),
      [['db_data', 'xfs']],
    )
  })
})
