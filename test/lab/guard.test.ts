/**
 * Hosts of a site with mirrored volumes (fake DRBD, see test/fake-drbd) are taken out one by one while a service writes: what is not safe is refused or waited
 * for, a restart of all hosts that is killed is gone on with, and nothing that was told is lost. The tests build on each other.
 */
import assert from 'node:assert/strict'
import { release } from 'node:os'
import { after, before, suite, test } from 'node:test'
import type { Verdict } from '../../coordinator/guard/verdict.ts'
import type { Rebooted } from '../../coordinator/hosts/reboot.ts'
import type { Updated } from '../../coordinator/hosts/update.ts'
import type { CertificateList, Diagnosis } from '../../coordinator/index.ts'
import { type FakeDrbd, startFakeDrbd } from '../fake-drbd/lab/start.ts'
import { nodesReady, power } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { inWords, Load } from './harness/load.ts'
import { endMirrored, whole } from './harness/mirrored-volumes.ts'
import { installedVersion, kernel, note, offer, stumblingBlock } from './harness/package-source.ts'
import { nothingLeft, told } from './harness/plans.ts'
import { Records } from './harness/records.ts'
import { bundleOf, secretsOf } from './harness/support-bundle.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hives = ['p-hive0.mirror', 'p-hive1.mirror', 'p-hive2.mirror'] as const
const volume = 'records_data'

suite('hosts that are taken out', { skip: labObstacle() ?? false }, () => {
  let drbd: FakeDrbd
  let site: LabSite
  let records: Records

  before(async () => {
    drbd = await startFakeDrbd()
    site = new LabSite(new URL('sites/mirrored', import.meta.url).pathname, { images: tinyImageFolder(), drbd })
    records = new Records(site, 'records', volume)
    await site.succeed(['deploy'])
    await whole(site, hives, volume)
  })

  after(async () => {
    records.stop()
    await endMirrored(site, drbd)
  })

  /** Where the service of two tasks answers. */
  const urls = ['10.88.0.4', '10.88.0.5', '10.88.0.6'].map((address) => `http://${address}:8080/`)

  const bootOf = async (host: string): Promise<string> => (await site.onHost(host, 'cat /proc/sys/kernel/random/boot_id')).trim()
  /** What planned work leaves while it lasts. */
  const cordoned = async (manager: string): Promise<string> =>
    (
      await site.onHost(
        manager,
        `docker node inspect $(docker node ls -q) --format '{{.Spec.Availability}} {{json .Spec.Labels}}' | grep -E '^drain|hive\\.reboot' || true`,
      )
    ).trim()

  test('nothing is wrong with a whole site, and its support bundle has none of its secrets', async () => {
    const { result } = await site.succeed(['doctor'])
    // How full its disks are is this machine's own.
    assert.deepEqual(
      (result as { readonly findings: readonly { readonly state: string }[] }).findings.filter(({ state }) => !state.startsWith('disk-')),
      [],
    )
    const files = await bundleOf(site)
    const secrets = await secretsOf(site, hives)
    assert.ok([...secrets.keys()].some((what) => what.includes('mirrored volumes')))
    for (const [what, secret] of secrets) for (const [name, text] of files) assert.ok(!text.includes(secret), `${name} has the ${what}`)
    assert.match(files.get(`hosts/${hives[0]}/drbd.json`) ?? '', /records_data/)
  })

  test('the guard says yes to each host of a whole site, with what is left', async () => {
    const { result } = await site.succeed(['host', 'reboot', '--all', '--plan'])
    for (const { yes, reasons, host } of result as readonly (Verdict & { readonly host: string })[]) {
      assert.ok(yes, `${host}: ${reasons.map(({ text }) => text).join('; ')}`)
      assert.match(reasons.map(({ text }) => text).join('; '), /the swarm keeps 2 of 3 managers.*volume records_data: .* has quorum/)
    }
  })

  test('a host shows what runs on it, its volumes, and what would be left without it', async () => {
    const writer = await records.writesElsewhere(hives[0])
    const list = (await site.succeed(['host', 'list'])).result as readonly { readonly name: string; readonly power: string; readonly work: string }[]
    assert.deepEqual(
      list.map(({ name, power: now, work }) => [name, now, work]),
      hives.map((name) => [name, 'running', '']),
    )
    const { result } = await site.succeed(['host', 'show', writer])
    const { part, guard } = result as {
      readonly part: { readonly services: readonly { readonly name: string }[]; readonly volumes: readonly { readonly name: string; readonly role: string }[] }
      readonly guard: Verdict
    }
    assert.ok(part.services.some(({ name }) => name === 'records'))
    assert.equal(part.volumes.find(({ name }) => name === volume)?.role, 'Primary')
    assert.ok(guard.yes)
  })

  test('with one host off the others are kept, and waited for where that is asked', async () => {
    const writer = (await records.hostSeenBy(hives[0])) ?? hives[0]
    const [goes, off] = hives.filter((host) => host !== writer) as [string, string]
    await power(site, 'off', off)
    const refused = await eventually('the host is missed', patience, async () => {
      const outcome = await site.run(['host', 'reboot', goes])
      return /1 of 3 managers/.test(outcome.errors[0]?.message ?? '') ? outcome : undefined
    })
    assert.equal(refused.code, 1)
    assert.equal(refused.errors[0]?.code, 'blocked')
    assert.match(refused.errors[0]?.message ?? '', /restarting .* is not safe now: .*volume records_data would have no quorum/)
    assert.equal((await site.run(['host', 'reboot', goes, '--plan'])).code, 4)
    assert.equal((await site.run(['host', 'reboot', goes, '--force', off])).code, 2, 'another host than the one that goes')
    assert.equal(await cordoned(writer), '')
    const old = await bootOf(goes)
    const waiting = site.start(['host', 'reboot', goes, '--wait'])
    await power(site, 'on', off)
    const { code, errors, milliseconds } = await waiting.done
    assert.deepEqual([code, errors], [0, []])
    assert.notEqual(await bootOf(goes), old)
    console.log(`waited for, then restarted: ${Math.round(milliseconds / 1000)} s`)
    await nodesReady(site, writer, 3)
    await whole(site, hives, volume)
  })

  test('a restart of all hosts that is killed goes on, one host at a time, while a service writes and another one answers', async (context) => {
    const before = records.acknowledged
    const boots = new Map(await Promise.all(hives.map(async (host) => [host, await bootOf(host)] as const)))
    const load = new Load(site, urls, 'pair')
    context.after(() => load.stop())
    await load.more(10)
    let gone: string | undefined
    const begun = site.start(['host', 'reboot', '--all'], {
      onEvent: (event) => {
        if (event.code !== 'step.log' || !event.line.startsWith('restarts')) return
        gone = event.host
        begun.kill('SIGKILL')
      },
    })
    assert.equal((await begun.done).signal, 'SIGKILL')
    assert.ok(gone !== undefined)
    const rest = hives.filter((host) => host !== gone) as unknown as readonly [string, string]
    assert.match(await cordoned(rest[0]), /^drain.*hive\.reboot/m)
    const outcome = await site.succeed(['host', 'reboot', '--all'], { deadline: 420_000 })
    await load.stop()
    const report = load.report()
    console.log(`two tasks meanwhile: ${inWords(report)}`)
    assert.deepEqual(report.failed, [])
    const { rebooted } = outcome.result as Rebooted
    assert.deepEqual([...rebooted].sort(), [...hives])
    assert.equal(rebooted[0], gone)
    for (const host of hives) assert.notEqual(await bootOf(host), boots.get(host), `${host} was restarted`)
    const times = told(outcome, 'step.finished').map(({ host, milliseconds }) => `${host} ${Math.round(milliseconds / 1000)} s`)
    console.log(`restarted: ${times.join(', ')}`)
    assert.equal(await cordoned(rest[0]), '')
    await whole(site, hives, volume)
    const writer = await records.writesElsewhere(hives[0])
    assert.ok(records.acknowledged > before)
    await records.assertWhole(writer)
    await nothingLeft(site)
  })

  test('a drained host has no task until it is let in again', async () => {
    const host = (await records.hostSeenBy(hives[0])) ?? ''
    await site.succeed(['host', 'drain', host])
    const other = hives.find((name) => name !== host) ?? ''
    assert.match(await cordoned(other), /^drain/)
    assert.equal((await site.onHost(host, 'docker ps -q --filter label=com.docker.swarm.service.name')).trim(), '')
    assert.notEqual(await records.writesElsewhere(other), host)
    await site.succeed(['host', 'undrain', host])
    assert.equal(await cordoned(other), '')
  })

  test('a host is taken out of the swarm, and added again', async () => {
    const writer = (await records.hostSeenBy(hives[0])) ?? hives[0]
    const gone = hives.find((host) => host !== writer && host !== hives[0]) ?? hives[2]
    const names = async (): Promise<readonly string[]> => (await site.onHost(hives[0], "docker node ls --format '{{.Hostname}}'")).trim().split('\n').sort()
    await site.succeed(['host', 'remove', gone])
    assert.deepEqual(
      await names(),
      hives.filter((host) => host !== gone).map((host) => host.replace('.mirror', '')),
    )
    await site.succeed(['host', 'add', gone])
    assert.equal((await names()).length, 3)
    assert.match((await site.run(['host', 'add', gone])).errors[0]?.message ?? '', /is part of the site already/)
    await nodesReady(site, hives[0], 3)
    await whole(site, hives, volume)
  })

  test('packages are brought up to date one host at a time, the leader last; one that fails ends it, and nothing stays drained', async () => {
    const versions = (): Promise<readonly string[]> => Promise.all(hives.map((host) => installedVersion(site, host)))
    const leader = (await site.onHost(hives[0], "docker node ls --filter role=manager --format '{{.Hostname}} {{.ManagerStatus}}' | grep Leader")).split(' ')[0]
    const before = records.acknowledged
    for (const host of hives) {
      await offer(site, host, [{ ...note('1.0'), installed: true }])
      await offer(site, host, [note('1.1')])
    }
    const { rebooted, withoutRestart, same } = (await site.succeed(['host', 'update', '--all'], { deadline: 420_000 })).result as Updated
    assert.deepEqual([[...rebooted].sort(), [...withoutRestart].sort(), same], [hives, hives, []])
    assert.equal(rebooted.at(-1), `${leader}.mirror`)
    assert.deepEqual(await versions(), ['1.1', '1.1', '1.1'])
    assert.deepEqual(((await site.succeed(['host', 'update', '--all'])).result as Updated).same, hives, 'a second one has nothing to do')

    for (const host of hives) {
      await offer(site, host, [note('1.2')])
      await site.onHost(host, `touch ${stumblingBlock}`)
    }
    const failed = await site.run(['host', 'update', '--all'], { deadline: 420_000 })
    assert.equal(failed.code, 1)
    const [stopped] = hives.filter((host) => host === failed.errors[0]?.host)
    assert.ok(stopped !== undefined, JSON.stringify(failed.errors))
    assert.deepEqual(
      await versions(),
      hives.map((host) => (host === stopped ? '' : '1.1')),
    )
    assert.equal(await cordoned(hives[0]), '')
    // The others go on, with a kernel that was held.
    for (const host of hives) {
      await offer(
        site,
        host,
        kernel('0.1-lab', '1').map((one) => ({ ...one, installed: true })),
      )
      await site.onHost(host, `rm ${stumblingBlock} && apt-mark hold linux-image-0.1-lab linux-image-lab && rm /run/reboot-required`)
      await offer(site, host, [note('1.2'), ...kernel(release(), '2')])
    }
    const moved = (await site.succeed(['host', 'update', '--all', '--kernel'], { deadline: 420_000 })).result as Updated
    assert.deepEqual([[...moved.rebooted].sort(), moved.withoutRestart], [hives, []])
    assert.deepEqual(await versions(), ['1.2', '1.2', '1.2'])
    const holds = ['linux-image-0.1-lab', `linux-image-${release()}`, 'linux-image-lab']
    for (const host of hives) assert.deepEqual((await site.onHost(host, 'apt-mark showhold')).trim().split('\n').sort(), [...holds].sort())
    assert.deepEqual(((await site.succeed(['host', 'update', '--all', '--kernel'])).result as Updated).same, hives)
    // One that has no module goes again, and the host stays as it was.
    await offer(site, hives[1], kernel('99.0-lab', '3'))
    const refused = await site.run(['host', 'update', hives[1], '--kernel'], { deadline: 420_000 })
    assert.match(refused.errors[0]?.message ?? '', new RegExp(`kernel 99\\.0-lab has no DRBD .*; ${release()} boots next`))
    assert.equal((await site.onHost(hives[1], 'ls /boot')).trim(), `vmlinuz-0.1-lab\nvmlinuz-${release()}`)
    // Whoever brought one by hand is kept from restarting into it.
    await site.onHost(hives[1], 'touch /boot/vmlinuz-99.0-lab')
    assert.match((await site.run(['host', 'reboot', hives[1]])).errors[0]?.message ?? '', /is not restarted: kernel 99\.0-lab boots next and has no DRBD/)
    for (const host of hives) await site.onHost(host, "apt-get -y --allow-change-held-packages purge 'linux-image-*' && rm -f /boot/vmlinuz-*")
    assert.equal(await cordoned(hives[0]), '')
    await whole(site, hives, volume)
    const writer = await records.writesElsewhere(hives[0])
    assert.ok(records.acknowledged > before)
    await records.assertWhole(writer)
    await nothingLeft(site)
  })

  const listed = async (manager: string, format: string): Promise<readonly string[]> =>
    (await site.onHost(manager, `docker node ls --format '${format}'`, 30_000)).trim().split('\n').sort()
  const services = async (manager: string): Promise<string> =>
    (await site.onHost(manager, "docker service ls --format '{{.ID}} {{.Name}} {{.Replicas}}'")).trim()
  /** The host is gone with all its disks. */
  const lose = async (host: string): Promise<void> => {
    await site.succeed(['lab', 'lose', host, '--yes'])
    for (const name of [volume, 'ledger_data']) if (host !== 'p-hive2.mirror' || name === volume) await drbd.replaceDisk(host.replace('.mirror', ''), name)
  }

  test('the first host dies and is made anew by one command that is killed twice, while a service writes and another one answers', async () => {
    const [dead, manager] = ['p-hive0.mirror', 'p-hive1.mirror']
    const refused = await site.run(['host', 'replace', dead, '--yes', dead])
    assert.match(refused.errors[0]?.message ?? '', /p-hive0\.mirror answers as the host that it was/)
    assert.equal(refused.errors[0]?.code, 'blocked')
    await site.onHost(manager, 'docker node update --label-add shelf=7 p-hive0')
    await records.writesElsewhere(manager)
    const load = new Load(site, urls, 'pair')
    try {
      await load.more(10)
      const since = Date.now()
      await lose(dead)
      await records.writesElsewhere(manager, dead)
      for (const point of ['replace/machine@', 'setup-hosts/']) {
        const begun = site.start(['host', 'replace', dead, '--yes', dead], {
          onEvent: (event) => {
            if (event.code === 'step.started' && event.host === dead && event.stepId.startsWith(point)) begun.kill('SIGKILL')
          },
        })
        assert.equal((await begun.done).signal, 'SIGKILL', point)
      }
      const { milliseconds } = await site.succeed(['host', 'replace', dead])
      console.log(`replaced, by what two killed commands left: ${Math.round(milliseconds / 1000)} s`)
      const report = load.report(since)
      console.log(`two tasks meanwhile: ${inWords(report)}`)
      assert.deepEqual(report.failed, [])
    } finally {
      await load.stop()
    }
    assert.deepEqual(await listed(manager, '{{.Hostname}} {{.Status}}'), ['p-hive0 Ready', 'p-hive1 Ready', 'p-hive2 Ready'])
    assert.match(await site.onHost(manager, "docker node inspect p-hive0 --format '{{json .Spec.Labels}}'"), /"shelf":"7"/)
    await whole(site, hives, volume)
    await records.assertWhole(await records.writesElsewhere(manager))
    const certificates = (await site.succeed(['cert', 'list'])).result as CertificateList
    const ofHost = certificates.certificates.filter(({ name }) => name === dead)
    assert.equal(ofHost.filter(({ state }) => state === 'in use').length, 1)
    assert.ok(ofHost.some(({ state, reason }) => state === 'revoked' && reason === 'the host was replaced'))
    await nothingLeft(site)
    assert.equal((await site.run(['host', 'replace', dead, '--plan'])).code, 4)
  })

  test('two of three managers die for good: the third goes on alone when it is told so, and the others are made anew', async () => {
    const [left, ...dead] = ['p-hive0.mirror', 'p-hive1.mirror', 'p-hive2.mirror'] as const
    await site.onHost(left, 'docker node update --label-add shelf=8 p-hive1')
    const before = await services(left)
    assert.equal((await site.succeed(['swarm', 'recover'])).code, 0)
    for (const host of dead) await lose(host)
    const told = await eventually('nobody leads', patience, async () => {
      const outcome = await site.run(['swarm', 'recover'])
      return (outcome.result as Diagnosis | undefined)?.state === 'undecided' ? outcome : undefined
    })
    assert.equal(told.code, 4)
    const { findings, refusals, newest } = told.result as Diagnosis
    assert.match(findings.join('; '), /p-hive0\.mirror is a manager without a leader: term \d+, entry \d+.*1 of 3 managers are there, and 2 are needed/)
    assert.match(refusals.join('; '), /there may still be a majority.*--gone p-hive1,p-hive2/)
    assert.equal(newest, left)
    const one = await site.run(['swarm', 'recover', '--from', left, '--gone', dead[0], '--yes'])
    assert.deepEqual([one.code, one.errors[0]?.code], [1, 'blocked'])
    const command = ['swarm', 'recover', '--from', left, '--gone', dead.join(','), '--yes']
    const begun = site.start(command, {
      onEvent: (event) => {
        if (event.code === 'step.started' && event.stepId.startsWith('swarm/force')) begun.kill('SIGKILL')
      },
    })
    assert.equal((await begun.done).signal, 'SIGKILL')
    const { milliseconds } = await site.succeed(command)
    console.log(`a swarm again: ${Math.round(milliseconds / 1000)} s`)
    assert.deepEqual(await listed(left, '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'), ['p-hive0 Ready Leader'])
    const ids = (text: string): readonly string[] => text.split('\n').map((line) => line.split(' ').slice(0, 2).join(' '))
    assert.deepEqual(ids(await services(left)), ids(before))
    assert.deepEqual((await site.succeed(command)).result, { done: [], gone: dead })

    await site.succeed(['host', 'replace', dead[0], '--yes', dead[0]], { deadline: 420_000 })
    await site.succeed(['deploy'], { deadline: 420_000 })
    assert.deepEqual(await listed(left, '{{.Hostname}} {{.Status}}'), ['p-hive0 Ready', 'p-hive1 Ready', 'p-hive2 Ready'])
    assert.match(await site.onHost(left, "docker node inspect p-hive1 --format '{{json .Spec.Labels}}'"), /"shelf":"8"/)
    await whole(site, hives, volume)
    await records.assertWhole(await records.writesElsewhere(left))
    await nothingLeft(site)
  })
})
