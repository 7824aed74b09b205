/** Zabbix on the repository server: its containers, what it holds, and the way to its web UI. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import { changedBy } from '../harness/plans.ts'
import type { RepositoryLab } from './lab.ts'

const parts = ['db', 'server', 'web'] as const

export function zabbixTests(lab: RepositoryLab): void {
  /** Asks the web UI on the repository server's own loopback. */
  const ask = async (method: string, params: unknown, token?: string): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 })
    const header = token === undefined ? '' : `-H 'authorization: Bearer ${token}'`
    const said = await lab.onRepository(
      `curl -s -m 20 -H 'content-type: application/json-rpc' ${header} -d '${body}' http://127.0.0.1:10052/api_jsonrpc.php`,
      30_000,
    )
    const { result, error } = JSON.parse(said) as { result?: unknown; error?: { data: string } }
    if (error !== undefined) throw new Error(error.data)
    return result
  }
  const logIn = async (): Promise<string> =>
    String(await ask('user.login', { username: 'Admin', password: readFileSync(join(lab.site.contextDir, 'zabbix_admin_password'), 'utf8').trim() }))

  it('runs in three containers of its own network, with fixed addresses, and is reached by the site only', async () => {
    const format = '{{.Name}} {{.State.Running}} {{(index .NetworkSettings.Networks "hive-zabbix").IPAddress}}'
    const said = await lab.onRepository(`docker inspect --format '${format}' ${parts.map((part) => `hive-zabbix-${part}`).join(' ')}`)
    assert.deepEqual(said.trim().split('\n'), [
      '/hive-zabbix-db true 172.31.255.132',
      '/hive-zabbix-server true 172.31.255.130',
      '/hive-zabbix-web true 172.31.255.131',
    ])
    const refused = await lab.onHost(lab.hives[0], `curl -s -m 5 http://${lab.addresses[lab.repository]}:10052/ || echo "curl ended with $?"`)
    assert.match(refused, /^curl ended with 7$/m)
  })

  it('knows every host of the site, and the swarm; nobody gets in with the first password', async () => {
    const hosts = (await ask('host.get', { output: ['host'], filter: { status: 0 }, sortfield: 'host' }, await logIn())) as { host: string }[]
    assert.deepEqual(
      hosts.map(({ host }) => host),
      [...lab.hives, lab.repository, 'p-swarm.depot'],
    )
    await assert.rejects(ask('user.login', { username: 'Admin', password: 'zabbix' }), /ncorrect user name or password/)
  })

  it('comes back as it was where a container is lost: only that one is made anew, and data stay', async () => {
    const before = await lab.onRepository("docker inspect --format '{{.Id}}' hive-zabbix-web hive-zabbix-server")
    await lab.onRepository('docker rm -f hive-zabbix-db')
    const changed = changedBy(await lab.site.succeed(['deploy', '--only', 'setup-hosts', '-l', lab.repository]))
    assert.deepEqual(changed, [`setup-hosts/zabbix-db@${lab.repository}`])
    assert.equal(await lab.onRepository("docker inspect --format '{{.Id}}' hive-zabbix-web hive-zabbix-server"), before)
    await eventually('the web UI answers', 60_000, async () => typeof (await logIn()) === 'string')
  })

  it('hivecoord zabbix leads a browser of this machine to the web UI', async () => {
    const command = lab.site.start(['zabbix', '--port', '0'])
    let ended = false
    void command.done.finally(() => {
      ended = true
    })
    try {
      const url = await eventually('it tells where, or ends', 60_000, async () => /http:\/\/127\.0\.0\.1:\d+\//.exec(command.out())?.[0] ?? ended)
      if (typeof url !== 'string') throw new Error(JSON.stringify((await command.done).errors))
      const page = await fetch(url)
      assert.match(await page.text(), /Zabbix/)
    } finally {
      command.kill('SIGINT')
    }
    assert.equal((await command.done).code, 0)
  })
}
