/** Agents that only ssh reaches: a whole deploy through it, and what becomes of it when hosts, tunnels and coordinators die. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, before, suite, test } from 'node:test'
import { power } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const names = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small', 'p-hive3.small']
const host = 'p-hive1.small'
const program = new URL('harness/through-ssh.ts', import.meta.url).pathname

interface Reached {
  readonly hosts: Readonly<Record<string, string>>
  readonly messages: Readonly<Record<string, string>>
  readonly milliseconds: number
}

suite('agents behind ssh', { skip: labObstacle() ?? false }, () => {
  let site: LabSite
  const coordinators = new Set<Coordinator>()

  /** A coordinator in the stage's network; its process is the one that has the ssh children. */
  class Coordinator {
    readonly child: ChildProcess
    readonly #answers: AsyncIterator<string>

    constructor(...more: string[]) {
      const namespace = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
      const argv = [`--net=/run/netns/${namespace}`, '--', process.execPath, program, site.folder, ...more]
      // nsenter becomes the program, with the same pid.
      this.child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
      this.#answers = createInterface(this.child.stdout as NodeJS.ReadableStream)[Symbol.asyncIterator]()
      coordinators.add(this)
    }

    async ask<T>(order: { readonly do: string; readonly host?: string }): Promise<T> {
      this.child.stdin?.write(`${JSON.stringify(order)}\n`)
      const answer = await this.#answers.next()
      assert.equal(answer.done, false, 'the coordinator ended')
      return JSON.parse(answer.value as string) as T
    }

    /** Its ssh processes by the host that they go to. */
    tunnels(): ReadonlyMap<string, number> {
      return tunnelsOf(this.child.pid)
    }

    end(): void {
      this.child.kill('SIGKILL')
      coordinators.delete(this)
    }
  }

  const addressOf = new Map<string, string>()

  /** Pids of `ssh -W` to hosts of this stage; of any parent where none is named. */
  function tunnelsOf(parent?: number): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        if (argv[0] !== 'ssh' || !argv.includes('-W') || !argv.some((word) => word.includes(join(site.contextDir, 'known_hosts')))) continue
        const [state, parentPid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (state === 'Z' || (parent !== undefined && Number(parentPid) !== parent)) continue
        const name = names.find((candidate) => argv.some((word) => word.startsWith(`${addressOf.get(candidate)}:`)))
        if (name !== undefined) found.set(name, Number(pid))
      } catch {
        // gone meanwhile
      }
    }
    return found
  }

  const outside = '-p tcp --dport 17443 ! -i lo -j REJECT'

  afterEach(() => {
    for (const coordinator of coordinators) coordinator.end()
  })

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    process.env['HIVE_IMAGES'] = tinyImageFolder()
    await site.succeed(['build-infra'])
    const { hosts } = (await site.succeed(['inventory'])).result as { hosts: readonly { name: string; address: string }[] }
    for (const { name, address } of hosts) addressOf.set(name, address)
    // Nothing but ssh gets in, as with the security group of a cloud.
    for (const name of names) await site.onHost(name, `iptables -I INPUT ${outside}`)
  })

  after(async () => {
    await site.destroy()
  })

  test('a site is deployed through ssh alone, and then has nothing left to do', async () => {
    const { out } = await site.inNetwork(['curl', '-sS', '-m', '3', '-k', `https://${addressOf.get(host)}:17443/`])
    assert.match(out, /refused|Failed to connect/i, 'the agent can be reached without ssh')
    const coordinator = new Coordinator()
    assert.deepEqual(await coordinator.ask({ do: 'deploy' }), { ok: true, errors: [] })
    coordinator.end()
    const again = new Coordinator()
    const { open, milliseconds } = await again.ask<{ open: number; milliseconds: number }>({ do: 'plan' })
    assert.equal(open, 0)
    assert.deepEqual([...again.tunnels().keys()].sort(), names, 'one tunnel a host')
    console.log(`plan through ssh: ${Math.round(milliseconds)} ms`)
  })

  test('all hosts are logged in to at the same time', async () => {
    const coordinator = new Coordinator()
    const { hosts, milliseconds } = await coordinator.ask<Reached>({ do: 'reach' })
    assert.deepEqual(hosts, Object.fromEntries(names.map((name) => [name, 'ok'])))
    console.log(`four hosts reached through ssh: ${Math.round(milliseconds)} ms`)
  })

  test('a tunnel that is killed is made anew by the next call', async () => {
    const coordinator = new Coordinator()
    await coordinator.ask({ do: 'reach' })
    const tunnel = coordinator.tunnels().get(host)
    assert.ok(tunnel !== undefined)
    process.kill(tunnel, 'SIGKILL')
    await eventually('the next call gets through', patience, async () => 'version' in (await coordinator.ask<object>({ do: 'info', host })))
    assert.notEqual(coordinator.tunnels().get(host), tunnel)
  })

  test('a host that is switched off while connected is unreachable, and answers again when it is back', async () => {
    const coordinator = new Coordinator()
    await coordinator.ask({ do: 'reach' })
    await power(site, 'off', host)
    const gone = await coordinator.ask<{ error?: string; message?: string }>({ do: 'info', host })
    assert.ok(gone.error === 'unreachable' || gone.error === 'timeout', JSON.stringify(gone))
    const { hosts, messages } = await coordinator.ask<Reached>({ do: 'reach' })
    assert.equal(hosts[host], 'unreachable', JSON.stringify(messages))
    await power(site, 'on', host)
    await site.onHost(host, `iptables -I INPUT ${outside}`)
    await eventually('it answers', patience, async () => 'version' in (await coordinator.ask<object>({ do: 'info', host })))
  })

  test('an agent that is not there, another host key and a refused log-in are told apart', async () => {
    const reach = async (): Promise<Reached> => {
      const coordinator = new Coordinator()
      const answer = await coordinator.ask<Reached>({ do: 'reach' })
      coordinator.end()
      return answer
    }
    await site.onHost(host, 'systemctl stop hive-agent')
    const stopped = await reach()
    await site.onHost(host, 'systemctl start hive-agent')
    assert.equal(stopped.hosts[host], 'unreachable')
    assert.match(stopped.messages[host] ?? '', /answers ssh, but its agent/)

    const known = join(site.contextDir, 'known_hosts')
    const keys = readFileSync(known, 'utf8')
    const [kind, stranger] = readFileSync(join(site.contextDir, 'id_rsa.pub'), 'utf8').split(' ')
    await site.inNetwork(['ssh-keygen', '-R', addressOf.get(host) ?? '', '-f', known])
    writeFileSync(known, `${readFileSync(known, 'utf8')}${addressOf.get(host)} ${kind} ${stranger}\n`)
    const changed = await reach()
    writeFileSync(known, keys)
    assert.equal(changed.hosts[host], 'conflict', JSON.stringify(changed))

    const key = join(site.contextDir, 'id_rsa')
    renameSync(key, `${key}.away`)
    const refused = await reach()
    renameSync(`${key}.away`, key)
    assert.deepEqual(new Set(Object.values(refused.hosts)), new Set(['denied']), JSON.stringify(refused))
    assert.equal((await reach()).hosts[host], 'ok')
  })

  test('a log-in that has moved since is found', async () => {
    const coordinator = new Coordinator('wrong-port')
    const { hosts, messages } = await coordinator.ask<Reached>({ do: 'reach' })
    assert.deepEqual(hosts, Object.fromEntries(names.map((name) => [name, 'ok'])), JSON.stringify(messages))
  })

  test('a coordinator that is killed leaves no ssh behind, also to a host that is gone, and its folder goes with the next one', async () => {
    const coordinator = new Coordinator()
    const { messages } = await coordinator.ask<Reached>({ do: 'reach' })
    assert.deepEqual([...coordinator.tunnels().keys()].sort(), names, JSON.stringify(messages))
    const foldersOf = ({ child }: Coordinator) => readdirSync(tmpdir()).filter((name) => name.startsWith(`hive-ssh.${child.pid}.`))
    assert.equal(foldersOf(coordinator).length, 1)
    await power(site, 'off', host)
    coordinator.end()
    await eventually('the tunnels to hosts that are on have ended', patience, async () => [...tunnelsOf().keys()].every((name) => name === host))
    await eventually('the tunnel to the host that is off has ended', patience, async () => tunnelsOf().size === 0)
    await power(site, 'on', host)
    const next = new Coordinator()
    await next.ask({ do: 'reach' })
    assert.deepEqual(foldersOf(coordinator), [])
    assert.equal(foldersOf(next).length, 1)
    const closed = once(next.child, 'close')
    next.child.stdin?.end()
    await closed
    assert.deepEqual(foldersOf(next), [])
    // They end by themselves when the process at their other side is gone.
    await eventually('no tunnel is left', patience, async () => tunnelsOf().size === 0)
  })
})
