/** Servers that somebody else makes: a site on them, and what becomes of it when one is lost and set up anew. The tests build on each other. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { BareHosts } from './harness/bare-hosts.ts'
import { LabSite } from './harness/lab-site.ts'
import { changedBy, nothingLeft } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

suite('prepared servers', { skip: labObstacle() ?? false }, () => {
  let hosts: BareHosts
  let site: LabSite

  before(async () => {
    hosts = await BareHosts.start(4)
    site = new LabSite(new URL('sites/plain', import.meta.url).pathname, { images: tinyImageFolder(), prepared: true })
    mkdirSync(site.contextDir, { recursive: true, mode: 0o700 })
    for (const end of ['', '.pub']) copyFileSync(`${hosts.identityFile}${end}`, join(site.contextDir, `id_rsa${end}`))
    writeFileSync(join(site.contextDir, 'netns'), `${hosts.netns}\n`)
    await site.succeed(['deploy'])
    await nothingLeft(site)
  })

  after(async () => {
    await site.destroy()
    await hosts.remove()
  })

  const nodes = async (): Promise<readonly string[]> =>
    (await site.onHost('p-hive0.plain', "docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'"))
      .trim()
      .split('\n')
      .map((line) => line.replace(/ (?:Leader|Reachable)$/, ' manager'))
      .sort()
  const whole = ['p-hive0', 'p-hive1', 'p-hive2'].map((name) => `${name} Ready manager`)
  const tasks = (): Promise<string> => site.onHost('p-hive0.plain', 'docker service ps -q --no-trunc --filter desired-state=running web | sort')

  test('one that died is given up by name, and replaced as soon as another one stands in its place', async () => {
    await hosts.lose(1)
    const waits = await site.run(['host', 'replace', 'p-hive1', '--yes', 'p-hive1'])
    assert.match(waits.errors[0]?.message ?? '', /does not answer ssh/)
    assert.match(waits.errors[0]?.hint ?? '', /hivecoord host replace p-hive1 goes on/)
    await hosts.replenish()
    await site.succeed(['host', 'replace', 'p-hive1'])
    assert.deepEqual(await nodes(), whole)
    await nothingLeft(site)
  })

  test('the repository server is made anew by itself, with the images that the hosts have; no task hears of it', async () => {
    const before = await tasks()
    await hosts.lose(3)
    await hosts.replenish()
    const replaced = await site.succeed(['host', 'replace', 'p-hive3', '--yes', 'p-hive3'])
    assert.ok(
      changedBy(replaced).some((step) => step.startsWith('build-images/')),
      changedBy(replaced).join(', '),
    )
    assert.equal(await tasks(), before)
    await nothingLeft(site)
  })
})
