import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { extract } from 'tar-stream'
import { ansibleContent, inventoryText, tar } from '../../../coordinator/ansible/content.ts'
import { portableInventory } from '../../../coordinator/ansible/portable-inventory.ts'
import type { Host, Site } from '../../../coordinator/inventory/site.ts'

let work = ''
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'hive-content-'))
})
after(() => rm(work, { recursive: true, force: true }))

const put = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

type TestSite = Pick<Site, 'root' | 'contextDir' | 'hosts' | 'ansibleInventory'>

async function makeSite(name: string, sibling = '/far'): Promise<TestSite> {
  const root = join(work, name)
  const contextDir = join(root, '.hive/private')
  await put(join(root, 'roles/web/tasks/main.yml'), "- debug: msg={{ lookup('file', hive_context_dir + '/token') }}\n")
  await put(join(root, 'roles/issuer/meta/main.yml'), 'dependencies: [{role: hive-certificate}]\n')
  await put(join(root, 'lib/thing.py'), '# module\n')
  for (const file of ['ca/cacert.pem', 'ca/cakey.pem', 'id_rsa', 'registry_password', 'token', 'unused']) await put(join(contextDir, file), file)
  return {
    root,
    contextDir,
    hosts: [{ name: 'p-hive1.x', isRepository: true, address: '10.0.0.5' } as Host],
    ansibleInventory: () => ({
      groups: { services: ['web'], mother: ['p-mother.x'], all: ['web', 'p-mother.x'] },
      hostVariables: { web: { ca: `${contextDir}/ca/cacert.pem`, far: `${sibling}/x` }, 'p-mother.x': {} },
      extraVariables: { hive_stage: 'private', hive_context_dir: contextDir, hive_root_dir: root },
    }),
  }
}

async function entriesOf(site: TestSite, roles: readonly string[]): Promise<Map<string, string>> {
  const { blob } = await ansibleContent(site, roles)
  const reader = Readable.from(blob.open()).pipe(extract())
  const found = new Map<string, string>()
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    found.set(entry.header.name, Buffer.concat(chunks).toString('utf8'))
  }
  return found
}

test('the same site in another folder, with other file times, makes the same bytes', async () => {
  const one = await ansibleContent(await makeSite('one'), ['web'])
  const other = await makeSite('elsewhere/other')
  await utimes(join(other.root, 'roles/web/tasks/main.yml'), 1, 1)
  assert.equal((await ansibleContent(other, ['web'])).blob.sha256, one.blob.sha256)
})

test('roles, modules, built-in roles and the files that roles name travel', async () => {
  const entries = await entriesOf(await makeSite('files'), ['web'])
  for (const path of [
    'roles/web/tasks/main.yml',
    'lib/thing.py',
    'builtin_roles/python-aptk/tasks/main.yml',
    'context/ca/cacert.pem',
    'context/registry_password',
    'context/token',
  ])
    assert.ok(entries.has(path), path)
})

test('keys and files that no role names stay', async () => {
  const entries = await entriesOf(await makeSite('keys'), ['web'])
  for (const path of ['context/ca/cakey.pem', 'context/id_rsa', 'context/unused']) assert.ok(!entries.has(path), path)
})

test("the CA's key travels for roles that bring hive-certificate along", async () => {
  const entries = await entriesOf(await makeSite('issuer'), ['issuer'])
  assert.ok(entries.has('context/ca/cakey.pem'))
  assert.ok(!entries.has('context/id_rsa'))
})

test('a password file that appears later is in the next content', async () => {
  const site = await makeSite('later')
  await rm(join(site.contextDir, 'registry_password'))
  const first = await ansibleContent(site, ['web'])
  await put(join(site.contextDir, 'registry_password'), 'new')
  assert.notEqual((await ansibleContent(site, ['web'])).blob.sha256, first.blob.sha256)
})

test("folders of the operator's machine become variables, whole path elements only", async () => {
  const sibling = join(work, 'paths2')
  const site = await makeSite('paths', sibling)
  const { hostVariables, extraVariables } = portableInventory(site)
  assert.equal(hostVariables['web']?.['ca'], '{{ hive_context_dir }}/ca/cacert.pem')
  assert.equal(hostVariables['web']?.['far'], `${sibling}/x`)
  assert.deepEqual(extraVariables, { hive_repository_address: '10.0.0.5', hive_stage: 'private' })
})

test('the mother is reached on the host itself', async () => {
  const inventory = JSON.parse(inventoryText(portableInventory(await makeSite('mother'))))
  assert.equal(inventory.all.hosts['p-mother.x'].ansible_connection, 'local')
  assert.deepEqual(inventory.all.children.services, { hosts: { web: {} } })
  assert.equal(inventory.all.children.all, undefined)
})

test('an archive does not depend on the order of its files', async () => {
  const files = ['b', 'a', 'c/d'].map((path) => ({ path, executable: false, content: Buffer.from(path), link: undefined }))
  assert.deepEqual(await tar(files), await tar([...files].reverse()))
})
