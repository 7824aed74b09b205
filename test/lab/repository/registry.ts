/** Images: seen, taken back and forward, old ones taken away, and brought back from hosts after the registry lost them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import { changedBy } from '../harness/plans.ts'
import type { RepositoryLab } from './lab.ts'

interface Row {
  readonly image: string
  readonly tags: readonly string[]
  readonly digest: string
  readonly services: readonly string[]
  readonly hosts: readonly string[]
}

const contentTag = /^[0-9a-f]{12}$/

export function registryTests(lab: RepositoryLab): void {
  const roleFile = (): string => join(lab.site.folder, 'roles/page/tasks/main.yml')
  const served = async (): Promise<string> => {
    const pages = await Promise.all(lab.hives.map((host) => lab.onHost(lab.hives[0], `curl -s --max-time 3 http://${host}:8080/ || true`)))
    return [...new Set(pages.map((page) => page.trim()).filter((page) => page !== ''))].sort().join(' ')
  }
  const serves = (page: string): Promise<unknown> => eventually(`the page is ${page}`, 60_000, async () => (await served()) === page || undefined)
  const list = async (): Promise<{ readonly images: readonly Row[]; readonly held: Record<string, string>; readonly registry: { readonly bytes: number } }> =>
    (await lab.site.succeed(['images', 'list'])).result as never
  const builds = async (): Promise<readonly Row[]> => (await list()).images.filter(({ image }) => image === 'image_web')
  const running = async (): Promise<Row> => {
    const found = (await builds()).find(({ services }) => services.includes('web'))
    assert.ok(found !== undefined, 'web runs no build of the registry')
    return found
  }
  const tagOf = ({ tags }: Row): string => tags.find((tag) => contentTag.test(tag)) ?? ''
  const tasks = async (): Promise<string> =>
    (await lab.onHost(lab.hives[0], 'docker service ps -q --no-trunc --filter desired-state=running web store | sort')).trim()

  let original = ''

  test('a list says what is built, who runs it and which hosts have it', async () => {
    original = readFileSync(roleFile(), 'utf8')
    const { images, registry } = await list()
    const web = images.filter(({ image }) => image === 'image_web')
    assert.equal(web.length, 1)
    assert.deepEqual(web[0]?.services, ['web'])
    assert.match(web[0]?.digest ?? '', /^sha256:[0-9a-f]{64}$/)
    for (const host of lab.hives) assert.ok(web[0]?.hosts.includes(host), `${host} has no image of web`)
    assert.ok(images.find(({ image, tags }) => image === 'busybox' && tags.includes('1'))?.services.includes('store'))
    assert.ok(registry.bytes > 0)
  })

  test('a service goes back to the build before, stays there through a deploy, and goes forward again', async () => {
    const before = await running()
    const page = await served()
    writeFileSync(roleFile(), '- raw: echo second > /srv/index.html\n')
    await lab.site.succeed(['deploy'])
    await serves('second')
    const back = await lab.site.succeed(['images', 'rollback', 'web'])
    assert.deepEqual(changedBy(back), [`deploy-services/web@${lab.hives[0]}`])
    await serves(page)
    assert.equal((await running()).digest, before.digest)
    assert.deepEqual(changedBy(await lab.site.succeed(['deploy'])), [])
    assert.equal(tagOf(await running()), tagOf(before))
    assert.match((await list()).held['web'] ?? '', new RegExp(`:${tagOf(before)}$`))
    await lab.site.succeed(['images', 'forward', 'web'])
    await serves('second')
    const nothing = await lab.site.run(['images', 'forward', 'web'])
    assert.equal(nothing.code, 1)
  })

  test('old builds go, what runs and the newest stay, and the deploy after that has nothing to do', async () => {
    const old = (await builds()).find(({ services }) => services.length === 0)
    assert.ok(old !== undefined)
    const dry = (await lab.site.succeed(['images', 'prune', '--keep', '1', '--dry-run'])).result as {
      readonly builds: readonly { readonly removed: boolean }[]
    }
    // What docker itself would take the service back to is in use.
    assert.deepEqual(
      dry.builds.filter(({ removed }) => removed),
      [],
    )
    await lab.onHost(lab.hives[0], 'docker service update -q --detach --force web')
    const pruned = (await lab.site.succeed(['images', 'prune', '--keep', '1'])).result as {
      readonly builds: readonly { readonly digest: string; readonly removed: boolean }[]
    }
    assert.deepEqual(
      pruned.builds.flatMap(({ removed, digest }) => (removed ? [digest] : [])),
      [old.digest],
    )
    assert.deepEqual(
      (await builds()).map(({ services }) => services),
      [['web']],
    )
    await lab.nothingToDo()
  })

  test('a build that was taken away comes back from a host, and is not built again', async () => {
    writeFileSync(roleFile(), original)
    const changed = changedBy(await lab.site.succeed(['deploy']))
    assert.ok(
      changed.some((step) => step.startsWith('build-images/push-image_web:')),
      changed.join(' '),
    )
    assert.equal((await builds()).length, 2)
  })

  test('a registry that lost everything gets it back from the hosts, with the same digests, and no task is replaced', async () => {
    const [before, known] = [await tasks(), await builds()]
    const digest = (await running()).digest
    await lab.onRepository(
      'systemctl stop docker-registry; rm -rf /var/lib/docker-registry/docker; docker rmi -f $(docker images -q) >/dev/null 2>&1; systemctl start docker-registry',
    )
    assert.deepEqual(
      (await list()).images.filter((row) => row.image === 'image_web').map(({ services }) => services),
      [['web']],
    )
    const { events } = await lab.site.succeed(['deploy'])
    const changed = changedBy({ events })
    assert.ok(
      changed.some((step) => step.startsWith('build-images/push-image_web:')),
      changed.join(' '),
    )
    assert.ok(
      changed.some((step) => step.startsWith('build-images/push-busybox:')),
      changed.join(' '),
    )
    assert.deepEqual(
      changed.filter((step) => step.startsWith('deploy-services/')),
      [],
    )
    assert.equal((await running()).digest, digest)
    assert.equal(await tasks(), before)
    const restored = await lab.site.succeed(['images', 'restore'])
    assert.deepEqual(changedBy(restored).length, known.length - 1)
    assert.deepEqual((await builds()).map(({ digest: one }) => one).sort(), known.map(({ digest: one }) => one).sort())
    await lab.nothingToDo()
  })
}
