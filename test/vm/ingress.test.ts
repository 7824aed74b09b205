/**
 * What needs the kernel's IPVS: a service's one address for all its tasks, and ports that answer on every host. Three Debian hosts with
 * kernels of their own, deployed by hivecoord as prepared servers are: ssh, the agent's package, all phases.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { ensureStageKey } from '../../coordinator/bootstrap/stage-key.ts'
import { eventually, patience } from '../lab/harness/eventually.ts'
import { LabSite } from '../lab/harness/lab-site.ts'
import { startHosts, type VmHosts } from './hosts.ts'
import { hostsObstacle } from './obstacle.ts'
import { pageImageFolder } from './page-image.ts'

const addresses = ['10.88.0.11', '10.88.0.12', '10.88.0.13']
const names = ['p-hive0', 'p-hive1', 'p-hive2']
const fetchPage = 'fetch(process.argv[1], { signal: AbortSignal.timeout(60_000) }).then((answer) => answer.text()).then((text) => process.stdout.write(text))'
const identity = /^[0-9a-f-]{36}\s*$/

suite('services behind addresses of their own', { skip: hostsObstacle(addresses.length) ?? false, timeout: 1_200_000 }, () => {
  const { signal } = new AbortController()
  let site: LabSite
  let hosts: VmHosts

  before(async () => {
    site = new LabSite(new URL('sites/ingress', import.meta.url).pathname, { images: await pageImageFolder(signal), prepared: true })
    const { publicKey } = await ensureStageKey(site.contextDir, 'mesh')
    const machines = names.map((name, index) => ({ name, address: `${addresses[index]}/24` }))
    hosts = await startHosts(machines, { memory: 1024, gateway: '10.88.0.1/24', publicKey, signal })
    writeFileSync(join(site.contextDir, 'netns'), `${hosts.namespace}\n`)
    await Promise.all(addresses.map(answersSsh))
    await site.succeed(['deploy'], { deadline: 900_000 })
  })

  after(async () => {
    await site.destroy()
    await hosts?.remove()
  })

  const answersSsh = (address: string, index: number): Promise<unknown> =>
    eventually(`sshd of ${names[index]}`, patience, async () =>
      (await site.inNetwork(['ssh-keyscan', '-t', 'ed25519', '-T', '25', address])).out.includes('ssh-ed25519'),
    ).catch((error: Error) => assert.fail(`${error.message}; its console:\n${hosts.console(names[index] ?? '').slice(-4000)}`))

  const docker = (host: string, command: string): Promise<string> => site.onHost(`${host}.mesh`, `docker ${command}`)

  /** Which task of `front` answers a client outside of the hosts at the address of one; told by a name made at its start. undefined where none does. */
  async function front(address: string): Promise<string | undefined> {
    const { code, out } = await site.inNetwork([process.execPath, '-e', fetchPage, `http://${address}:8080/`], 90_000)
    return code === 0 && identity.test(out) ? out.trim() : undefined
  }

  /** What a shell command says in the container of `backend` on a host. */
  const inBackend = (host: string, command: string): Promise<string> => docker(host, `exec $(docker ps --quiet --filter name=^backend) sh -c '${command}'`)

  /** The hosts that run tasks of a service. */
  const placesOf = async (service: string): Promise<readonly string[]> =>
    (await docker('p-hive0', `service ps --filter desired-state=running --format '{{.Node}}' ${service}`)).trim().split('\n').sort()

  test('a service has one address, which is among those of its name, and on every host all its tasks answer behind it', async () => {
    assert.deepEqual(await placesOf('backend'), names)
    const own = JSON.parse(await docker('p-hive0', `service inspect --format '{{json .Endpoint.VirtualIPs}}' backend`)) as readonly { readonly Addr: string }[]
    assert.equal(own.length, 1)
    const address = own[0]?.Addr.replace(/\/\d+$/, '') ?? ''
    const tasks = await Promise.all(names.map(async (host) => (await inBackend(host, 'cat /srv/index.html')).trim()))
    assert.equal(new Set(tasks).size, names.length)
    await Promise.all(
      names.map(async (host) => {
        const answered = new Set<string>()
        await eventually(`an answer on ${host} by each of the three tasks`, patience, async () => {
          const found = await inBackend(host, `nslookup -type=a backend. 127.0.0.11; for n in 1 2 3; do wget -qO- http://${address}:8080/; done`)
          // Beside it are the tasks' own: a container's host name is the service's, and docker resolves that, too.
          assert.match(found, new RegExp(`^Address: *${address}$`, 'm'))
          for (const task of tasks) if (found.includes(task)) answered.add(task)
          return answered.size === tasks.length
        })
      }),
    )
  })

  test('a published port answers on every host, though its service runs on one', async () => {
    assert.equal((await placesOf('front')).length, 1)
    const shown = await Promise.all(addresses.map((address) => eventually(`a page on ${address}`, patience, () => front(address))))
    assert.equal(new Set(shown).size, 1)
  })

  test('a published port answers on every host that is left when the one is switched off where its service ran', async () => {
    const [place = ''] = await placesOf('front')
    const gone = names.indexOf(place)
    assert.ok(gone >= 0)
    const before = await front(addresses[gone] ?? '')
    assert.ok(before !== undefined)
    await hosts.powerOff(place)
    const left = addresses.filter((_, index) => index !== gone)
    await Promise.all(
      left.map((address) =>
        eventually(`another page on ${address}`, 3 * patience, async () => {
          const found = await front(address)
          return found !== undefined && found !== before
        }),
      ),
    )
  })
})
