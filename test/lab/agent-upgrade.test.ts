/** Packages of the agent on real hosts: other versions roll through a site, stop at a doubt, and may not be too far apart. The tests build on each other. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { buildPackage } from '../../packaging/build-packages.mjs'
import { eventually, patience } from './harness/eventually.ts'
import { type CommandOutcome, LabSite } from './harness/lab-site.ts'
import { openIn, plan, told } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

interface Agent {
  readonly host: string
  readonly version: string
  readonly skew: string
  readonly package: string
}

interface Upgrade {
  readonly version: string
  readonly upgraded: readonly string[]
  readonly same: readonly string[]
  readonly newer: readonly string[]
  readonly unreachable: readonly string[]
}

const names = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small', 'p-hive3.small']

suite('agents of other versions', { skip: labObstacle() ?? false }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'hive-lab-upgrade-'))
  let site: LabSite

  /** The environment of a hivecoord that has agents of this version. */
  async function having(version: string): Promise<Readonly<Record<string, string>>> {
    const folder = join(scratch, version)
    const { path, ...about } = await buildPackage('deb', { version })
    mkdirSync(folder, { recursive: true })
    copyFileSync(path, join(folder, about.fileName))
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify([about]))
    return { HIVE_AGENT_PACKAGES: folder }
  }

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    await site.succeed(['deploy'])
  })

  after(async () => {
    await site.destroy()
    rmSync(scratch, { recursive: true, force: true })
  })

  const list = async (): Promise<readonly Agent[]> => (await site.succeed(['agent', 'list'])).result as readonly Agent[]
  const versions = async (): Promise<readonly string[]> => (await list()).map(({ version }) => version)
  const containers = (): Promise<readonly string[]> => Promise.all(names.map((name) => site.onHost(name, 'docker ps -q --no-trunc | sort')))
  const leader = async (): Promise<string> => {
    const short = (await site.onHost('p-hive0.small', 'docker node ls --filter role=manager --format "{{.Hostname}} {{.ManagerStatus}}"'))
      .split('\n')
      .find((line) => line.endsWith('Leader'))
      ?.split(' ')[0]
    return names.find((name) => name === short || name.startsWith(`${short}.`)) ?? ''
  }
  /** Hosts whose agent was exchanged, in order; fails where two were at the same time. */
  const oneByOne = (outcome: Pick<CommandOutcome, 'events'>): readonly string[] => {
    const steps = outcome.events.flatMap((event) => (event.code === 'step.started' || event.code === 'step.finished' ? [`${event.code} ${event.host}`] : []))
    const hosts = steps.filter((step) => step.startsWith('step.started')).map((step) => step.split(' ')[1] ?? '')
    assert.deepEqual(
      steps,
      hosts.flatMap((host) => [`step.started ${host}`, `step.finished ${host}`]),
    )
    return hosts
  }

  test('the agents are packages of this version, and there is nothing to upgrade', async () => {
    const agents = await list()
    assert.deepEqual(
      agents.map(({ host, skew, package: kind }) => [host, skew, kind]),
      names.map((name) => [name, 'same', 'deb']),
    )
    const outcome = await site.succeed(['agent', 'upgrade'])
    assert.deepEqual((outcome.result as Upgrade).same, names)
    assert.deepEqual(outcome.events, [])
    console.log(`nothing to upgrade: ${Math.round(outcome.milliseconds)} ms`)
  })

  test('a new version goes through the site one host at a time, the leader last, and containers stay', async () => {
    const newer = await having('0.1.1')
    const first = await site.succeed(['agent', 'upgrade', 'p-hive1'], { env: newer })
    assert.deepEqual((first.result as Upgrade).upgraded, ['p-hive1.small'])
    assert.deepEqual(await versions(), ['0.1.0', '0.1.1', '0.1.0', '0.1.0'])
    const [ran, last] = [await containers(), await leader()]
    const rest = await site.succeed(['agent', 'upgrade'], { env: newer })
    const order = oneByOne(rest)
    assert.deepEqual([...order].sort(), names.filter((name) => name !== 'p-hive1.small').sort())
    assert.equal(order[0], 'p-hive3.small', 'the repository server is no manager')
    // A busy machine may have elected another one meanwhile.
    if (last !== 'p-hive1.small' && last === (await leader())) assert.equal(order.at(-1), last)
    assert.deepEqual((rest.result as Upgrade).upgraded, order)
    assert.deepEqual(await containers(), ran)
    console.log(`three agents upgraded: ${Math.round(rest.milliseconds)} ms`)
  })

  test('an older hivecoord works with agents one minor version newer, and leaves them', async () => {
    const outcome = await site.succeed(['plan'])
    assert.deepEqual(openIn(outcome.result as Parameters<typeof openIn>[0]), [])
    assert.ok(told(outcome, 'notice').some(({ message }) => /p-hive1\.small runs agent 0\.1\.1, newer than this hivecoord's 0\.1\.0: it stays/.test(message)))
    const left = (await site.succeed(['agent', 'upgrade'])).result as Upgrade
    assert.deepEqual([left.upgraded, left.newer], [[], names])
  })

  test('an upgrade that is killed goes on with what is left', async () => {
    const env = await having('0.2.0')
    const begun = site.start(['agent', 'upgrade'], {
      env,
      onEvent: (event) => {
        if (event.code === 'step.log' && event.host !== 'p-hive3.small') begun.kill('SIGKILL')
      },
    })
    const killed = await begun.done
    assert.equal(killed.signal, 'SIGKILL')
    const [done] = told(killed, 'step.finished')
    assert.equal(done?.host, 'p-hive3.small')
    const again = await eventually('the lease of the dead one is taken over', patience, () =>
      site.succeed(['agent', 'upgrade'], { env }).catch((error: unknown) => {
        if (String(error).includes('holds the site')) return undefined
        return { error }
      }),
    )
    if ('error' in again) throw again.error
    assert.ok(!oneByOne(again).includes('p-hive3.small'))
    assert.deepEqual(await versions(), ['0.2.0', '0.2.0', '0.2.0', '0.2.0'])
  })

  test('an agent that does not come back ends the upgrade, which says how far it came and goes on when it is mended', async () => {
    const env = await having('0.2.1')
    const dropIn = '/etc/systemd/system/hive-agent.service.d'
    const broken = (await leader()) === 'p-hive1.small' ? 'p-hive2.small' : 'p-hive1.small'
    await site.onHost(broken, `mkdir -p ${dropIn} && printf '[Service]\\nExecStartPre=/bin/false\\n' > ${dropIn}/broken.conf && systemctl daemon-reload`)
    const stopped = await site.run(['agent', 'upgrade'], { env })
    assert.equal(stopped.code, 1)
    const [error] = stopped.errors
    assert.match(error?.message ?? '', new RegExp(`stopped at ${broken}: .*upgraded to 0\\.2\\.1: .*p-hive3.*; not: .*p-hive[12]`))
    assert.match(error?.hint ?? '', /agent upgrade goes on/)
    const others = (await site.run(['agent', 'list'])).result as readonly Partial<Agent>[]
    assert.equal(others.find(({ host }) => host === 'p-hive3.small')?.version, '0.2.1')
    assert.ok(others.some(({ version }) => version === '0.2.0'))
    // One that was left without an agent that answers is build-infra's.
    await site.onHost(broken, `rm -r ${dropIn} && systemctl daemon-reload && systemctl restart hive-agent`)
    const rest = await site.succeed(['agent', 'upgrade'], { env })
    oneByOne(rest)
    assert.deepEqual(await versions(), ['0.2.1', '0.2.1', '0.2.1', '0.2.1'])
  })

  test('too far apart, what would change something stops with both versions, what looks warns, and no deploy makes an agent older', async () => {
    await site.succeed(['agent', 'upgrade', 'p-hive1'], { env: await having('0.3.0') })
    const both = /p-hive1\.small runs agent 0\.3\.0, and this hivecoord is 0\.1\.0: more than one minor version apart/
    const info = await site.succeed(['node', 'info', 'p-hive1'])
    assert.ok(told(info, 'warning').some(({ message }) => both.test(message)))
    const asked = await site.run(['node', 'unit', 'p-hive1', 'restart', 'cron.service'])
    assert.equal(asked.code, 1)
    assert.match(asked.errors[0]?.message ?? '', both)
    assert.match(asked.errors[0]?.hint ?? '', /agent upgrade --allow-downgrade/)
    const phases = await plan(site)
    assert.ok(openIn(phases).some((line) => /agent@p-hive1\.small: blocked: agent 0\.3\.0 runs, too new for this hivecoord's 0\.1\.0/.test(line)))
    assert.ok(phases.find(({ phase }) => phase === 'setup-hosts')?.errors.some(({ message }) => both.test(message)))
    const deployed = await site.run(['deploy'])
    assert.equal(deployed.code, 1)
    const phase = await site.run(['setup-hosts'])
    assert.equal(phase.code, 1)
    assert.ok(phase.errors.some(({ message }) => both.test(message)))
    assert.equal((await list()).find(({ host }) => host === 'p-hive1.small')?.skew, 'agent-newer')
  })

  test('agents are made older where that is said', async () => {
    const outcome = await site.succeed(['agent', 'upgrade', '--allow-downgrade'])
    assert.equal(oneByOne(outcome).length, names.length)
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('a half-installed package is repaired, another package manager is waited for, and an agent without a package is taken over', async () => {
    const [repaired, waiting, bare] = ['p-hive1.small', 'p-hive2.small', 'p-hive3.small'] as const
    const status = '/^Package: hive-agent/,/^$/s/^Status: .*/Status: install reinstreq half-installed/'
    await site.onHost(repaired, `systemctl stop hive-agent; sed -i "${status}" /var/lib/dpkg/status; rm /usr/bin/hive-agent`)
    const held = '/run/held'
    const lock = `my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0); open(my $f, ">>", "/var/lib/dpkg/lock-frontend"); fcntl($f, F_SETLK, $lock) or die`
    const hold = `use Fcntl qw(:DEFAULT F_SETLK F_WRLCK); ${lock}; open(my $g, ">", "${held}"); close $g; sleep 1 while -e "${held}"`
    await site.onHost(waiting, `systemctl stop hive-agent; echo >> /usr/bin/hive-agent; systemd-run --quiet perl -e '${hold}'`)
    await site.onHost(waiting, `until [ -e ${held} ]; do sleep 0.2; done`)
    const unit = '/etc/systemd/system/hive-agent.service'
    await site.onHost(
      bare,
      `cp -a /usr/bin/hive-agent /lib/systemd/system/hive-agent.service /etc/hive-agent /root && dpkg --purge hive-agent && cp -a /root/hive-agent.service ${unit} && cp -a /root/hive-agent /usr/bin/ 2>/dev/null; mkdir -p /var/lib/hive-agent; systemctl daemon-reload`,
    )
    let freed: Promise<unknown> | undefined
    await site.succeed(['build-infra'], {
      onEvent: (event) => {
        if (event.code === 'step.log' && event.line.startsWith('waiting for another package manager')) freed ??= site.onHost(waiting, `rm ${held}`)
      },
    })
    assert.ok(freed !== undefined, 'it did not wait')
    await freed
    assert.ok((await list()).every(({ package: kind, skew }) => kind === 'deb' && skew === 'same'))
    assert.equal((await site.onHost(bare, `test -e ${unit} || echo gone`)).trim(), 'gone')
    for (const host of [repaired, waiting, bare]) assert.equal((await site.onHost(host, 'ls /var/tmp | grep -c hive-agent || true')).trim(), '0')
    assert.deepEqual(openIn(await plan(site)), [])
  })
})
