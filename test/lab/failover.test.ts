/** The site without some of its hosts: what it serves, where its data is, and how it becomes whole again. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { DeployResult } from '../../coordinator/run/deploy.ts'
import { healed, nodesReady, power } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hives = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small']
const repository = 'p-hive3.small'

suite('a site that loses hosts', { skip: labObstacle() ?? false }, () => {
  let site: LabSite

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    await site.succeed(['deploy'])
  })

  after(async () => {
    await site.destroy()
  })

  /** The host on which the store's task runs, as a manager sees it. */
  async function hostOfStore(manager: string): Promise<string | undefined> {
    const said = await site.onHost(manager, `docker service ps store --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'`, 30_000)
    const [node, state] = said.trim().split('\n')[0]?.split(' ') ?? []
    return state === 'Running' ? `${node}.small` : undefined
  }

  const inStore = (host: string, command: string): Promise<string> =>
    site.onHost(host, `docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=store | head -1) busybox ${command}`, 30_000)

  const whole = async (manager: string): Promise<void> => {
    await nodesReady(site, manager, 3)
    await healed(site)
  }

  test('dockerd starts tasks without asking a registry', async () => {
    for (const host of hives) assert.match(await site.onHost(host, 'systemctl show docker --property Environment'), /DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1/)
  })

  test('a task and its data come back on another host, with its own host and the registry dead at once', async (context) => {
    const old = await eventually('the store runs', patience, () => hostOfStore('p-hive0.small'))
    const manager = hives.find((host) => host !== old) ?? ''
    const firstLine = await eventually('its first line', patience, () => inStore(old, 'head -n 1 /data/log'))
    const lines = Number(await inStore(old, 'grep -c . /data/log'))

    const began = performance.now()
    await Promise.all([power(site, 'off', repository), power(site, 'off', old)])
    const found = await eventually('the store runs elsewhere', patience, async () => {
      const host = await hostOfStore(manager)
      return host !== undefined && host !== old && Number(await inStore(host, 'grep -c . /data/log')) > lines ? host : undefined
    })
    context.diagnostic(`after ${((performance.now() - began) / 1000).toFixed(1)} s`)
    assert.equal(await inStore(found, 'head -n 1 /data/log'), firstLine)
    for (const host of hives.filter((name) => name !== old)) {
      const ask = `fetch('http://${await addressOf(host)}:8080/').catch(() => process.exit(1))`
      await eventually(`${host} serves`, patience, async () => (await site.inNetwork([process.execPath, '-e', ask])).code === 0)
    }

    await Promise.all([power(site, 'on', old), power(site, 'on', repository)])
    await whole(manager)
  })

  const addressOf = async (host: string): Promise<string> => {
    const { hosts } = (await site.succeed(['inventory'])).result as { hosts: readonly { name: string; address: string }[] }
    return hosts.find(({ name }) => name === host)?.address ?? ''
  }

  test('with the repository server dead, services are changed and repaired as long as they need no new image', async () => {
    await power(site, 'off', repository)
    site.edit('inventory/services.yml', (text) => text.replace('COLOUR: blue', 'COLOUR: green'))
    const outcome = await site.run(['deploy', '--only', 'deploy-services'])
    assert.equal(outcome.code, 0, JSON.stringify(outcome.errors))
    assert.ok((outcome.result as DeployResult).changed > 0)
    await power(site, 'on', repository)
    await whole('p-hive0.small')
  })
})
