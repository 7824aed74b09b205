import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { mentionedRoles, rolesWithDependencies, siteHasRole } from '../../../coordinator/ansible/roles.ts'

let root = ''
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'hive-roles-'))
  const files = {
    'roles/app/meta/main.yml': 'dependencies:\n- base\n- role: extra\n',
    'roles/app/tasks/main.yml': '- block:\n  - include_role:\n      name: hive-trust-ca\n- ansible.builtin.import_role: name=late\n',
    'roles/base/tasks/main.yml': '[]',
    'roles/extra/tasks/main.yml': '- import_role: {name: app}\n',
    'roles/late/tasks/main.yml': '[]',
    'roles/open/tasks/main.yml': '- include_role:\n    name: "{{ x }}"\n',
    'roles/addon/tasks/main.yml': '[]',
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
})
after(() => rm(root, { recursive: true, force: true }))
const site = () => ({ root, contextDir: join(root, '.hive/private') })

test('dependencies and included roles come along, built-in ones too, circles end', async () => {
  const { roles, open } = await rolesWithDependencies(site(), ['app'])
  assert.deepEqual([...roles.keys()], ['app', 'base', 'extra', 'hive-trust-ca', 'hive-trust-ca-alpine', 'hive-trust-ca-centos', 'hive-trust-ca-ubuntu', 'late'])
  assert.equal(open, false)
})

test('a name that is a template is told', async () => {
  assert.equal((await rolesWithDependencies(site(), ['open'])).open, true)
})

test('a role that is nowhere is named with who wants it, one of a collection is not', async () => {
  const { missing } = await rolesWithDependencies(site(), ['gone', 'community.general.thing'])
  assert.deepEqual(missing, ['gone (wanted by the inventory)'])
})

test('what Ansible can read and YAML can not is left to Ansible', () => {
  assert.deepEqual(mentionedRoles({ path: 'tasks/main.yml', content: Buffer.from('- include_role: {name: [unclosed') }), [])
})

test("a hook is the site's own only where the site has the role", () => {
  assert.equal(siteHasRole(site(), 'addon'), true)
  assert.equal(siteHasRole(site(), 'addon2'), false)
})
