/** A site whose registry is a container, as on hosts without apt: a hive host and the repository server. The tests build on each other. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { power } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { changedBy, nothingLeft, openIn, plan } from './harness/plans.ts'
import { registryImage } from './harness/registry-image.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hive = 'p-hive0.small'
const repository = 'p-hive1.small'
const step = `setup-hosts/registry@${repository}`

suite('a registry in a container', { skip: labObstacle() ?? false }, () => {
  const images = mkdtempSync(join(tmpdir(), 'hive-lab-images-'))
  let site: LabSite

  const containerId = async (): Promise<string> => (await site.onHost(repository, 'docker ps -q --no-trunc -f name=^hive-registry$')).trim()

  const password = async (): Promise<string> => (await site.onHost(repository, 'cut -d: -f2 /etc/docker/registry/htpasswd')).trim()

  before(async () => {
    cpSync(tinyImageFolder(), images, { recursive: true })
    cpSync(registryImage(), join(images, 'registry_2.rootfs.tar'))
    site = new LabSite(join(import.meta.dirname, 'sites/small'), { images })
    site.edit('inventory/hive.yml', (text) => text.replace('number_of_hosts: 4', 'number_of_hosts: 2'))
    site.edit('inventory/group_vars/servers.yml', (text) => `${text}hive_registry_container: True\n`)
    site.edit('inventory/services.yml', (text) => text.replace('image: busybox:1', 'image: {from: "busybox:1", roles: [page]}'))
    mkdirSync(join(site.folder, 'roles/page/tasks'), { recursive: true })
    writeFileSync(join(site.folder, 'roles/page/tasks/main.yml'), '- raw: echo built > /srv/index.html\n')
    await site.succeed(['deploy'])
  })

  after(async () => {
    await site.destroy()
    rmSync(images, { recursive: true, force: true })
  })

  const served = async (): Promise<string> => (await site.onHost(hive, `curl -s http://${hive}:8080/`)).trim()

  test('an image is built, pushed to it, pulled from it and served; nothing is left to change', async () => {
    await eventually('the page', patience, async () => (await served().catch(() => '')) === 'built' || undefined)
    assert.deepEqual(openIn(await plan(site)), [])
    assert.notEqual(await containerId(), '')
    assert.equal((await site.onHost(repository, 'systemctl is-active docker-registry || true')).trim(), 'inactive')
  })

  test('it is back after the repository server was without power', async () => {
    const made = await containerId()
    await power(site, 'off', repository)
    await power(site, 'on', repository)
    await nothingLeft(site)
    assert.equal(await containerId(), made)
  })

  test('it comes back with docker, and when it is killed', async () => {
    await site.onHost(repository, 'systemctl restart docker')
    await nothingLeft(site)
    await site.onHost(repository, 'kill -KILL $(docker inspect -f {{.State.Pid}} hive-registry)')
    await nothingLeft(site)
  })

  test('another password makes it anew with the images it has', async () => {
    const [made, before] = [await containerId(), await password()]
    writeFileSync(join(site.contextDir, 'registry_login_password'), 'another-password')
    assert.ok(openIn(await plan(site)).some((line) => line.startsWith(`${step}: change: /etc/docker/registry/htpasswd differs`)))
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), [`setup-hosts/registry-upkeep@${repository}`, step])
    assert.notEqual(await containerId(), made)
    assert.notEqual(await password(), before)
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('another archive of its image replaces it', async () => {
    const made = await containerId()
    writeFileSync(join(images, 'registry_2.rootfs.tar'), Buffer.alloc(10_240), { flag: 'a' })
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), [step])
    assert.notEqual(await containerId(), made)
    assert.equal((await site.onHost(repository, 'docker images -q hive-registry | wc -l')).trim(), '1')
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('old builds go from it, and what nobody refers to then', async () => {
    const file = join(site.folder, 'roles/page/tasks/main.yml')
    writeFileSync(file, '- raw: echo again > /srv/index.html\n')
    await site.succeed(['deploy'])
    // What docker would take the service back to is in use.
    await site.onHost(hive, 'docker service update -q --detach --force web')
    const { builds, freedBytes } = (await site.succeed(['images', 'prune', '--keep', '1'])).result as {
      readonly builds: readonly { readonly removed: boolean }[]
      readonly freedBytes: number
    }
    assert.equal(builds.filter(({ removed }) => removed).length, 1)
    assert.ok(freedBytes > 0)
    await eventually('nothing to change', 60_000, async () => openIn(await plan(site)).length === 0 || undefined)
  })

  test('it was removed: the plan says so, and a deploy brings it back', async () => {
    await site.onHost(repository, 'docker rm -f hive-registry')
    assert.ok(openIn(await plan(site)).includes(`${step}: change: there is no container hive-registry`))
    await site.succeed(['deploy'])
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('without the variable the host has its package again, with the same images', async () => {
    site.edit('inventory/group_vars/servers.yml', (text) => text.replace('hive_registry_container: True\n', ''))
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), [step])
    assert.equal((await site.onHost(repository, 'systemctl is-active docker-registry')).trim(), 'active')
    assert.equal(await containerId(), '')
    assert.deepEqual(openIn(await plan(site)), [])
  })
})
