/**
 * Mirrored volumes on DRBD (a fake one, see test/fake-drbd) while they are made and changed: whoever is killed in between, the next run
 * finishes; what is not as it should be is named, and nothing that may hold data is written over. The tests build on each other.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import type { HiveEvent } from '../../coordinator/events.ts'
import { type FakeDrbd, startFakeDrbd } from '../fake-drbd/lab/start.ts'
import { nodesReady, power, signalProcess } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { type CommandOutcome, LabSite } from './harness/lab-site.ts'
import { doctor, endMirrored, healthy, whole } from './harness/mirrored-volumes.ts'
import { openIn, plan } from './harness/plans.ts'
import { Records } from './harness/records.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hives = ['p-hive0.mirror', 'p-hive1.mirror', 'p-hive2.mirror']
const short = (host: string): string => host.split('.')[0] ?? ''

suite('making mirrored volumes', { skip: labObstacle() ?? false }, () => {
  let drbd: FakeDrbd
  let site: LabSite

  before(async () => {
    drbd = await startFakeDrbd()
    site = new LabSite(new URL('sites/mirrored', import.meta.url).pathname, { images: tinyImageFolder(), drbd })
    await site.succeed(['deploy', '--only', 'build-infra,setup-hosts,build-images,build-networks'])
  })

  after(async () => {
    await endMirrored(site, drbd)
  })

  const isWhole = (volume: string): Promise<void> => whole(site, hives, volume)
  const nothingToDo = async (): Promise<void> => assert.deepEqual(openIn(await plan(site, '--only', 'build-volumes')), [])

  /** One more service with a volume of its own. */
  const addVolume = (name: string): void =>
    site.edit('inventory/services.yml', (text) => {
      const volume = `      - {source: ${name}, target: /data, type: volume, drbd: {fstype: ext4, size: 32M}}\n`
      return `${text}  ${name.replaceAll('_', '-')}:\n    image: busybox:1\n    command: [busybox, sleep, infinity]\n    endpoint_mode: dnsrr\n    stop_grace_period: 1s\n    volumes:\n${volume}`
    })

  /** Runs build-volumes and does something at the first event for which `when` answers true. */
  async function buildVolumes(when: (event: HiveEvent) => boolean, act: (kill: () => void, event: HiveEvent) => void): Promise<CommandOutcome> {
    let over = false
    const running = site.start(['build-volumes'], {
      onEvent: (event) => {
        if (over || !when(event)) return
        over = true
        act(() => running.kill('SIGKILL'), event)
      },
    })
    return running.done
  }

  const kindOf = (event: { readonly stepId: string }): string => event.stepId.replace(/ .*|@.*/, '')
  const isStep = (event: HiveEvent, kind: string): boolean => event.code === 'step.started' && event.stepId.includes(`/${kind} `)
  const generations = (): number => drbd.log().match(/drbdsetup new-current-uuid /g)?.length ?? 0

  test('a coordinator that is killed at each kind of step leaves volumes that the next run finishes, each with one first generation', async (context) => {
    const seen = new Set<string>()
    const momentOf = (event: HiveEvent): string | undefined =>
      event.code === 'step.started' || event.code === 'step.finished' ? `${event.code} ${kindOf(event)}` : undefined
    for (let attempt = 0; ; attempt++) {
      assert.ok(attempt < 20, `every run was killed: ${[...seen].join(', ')}`)
      const isNew = (event: HiveEvent): boolean => {
        const moment = momentOf(event)
        if (moment === undefined || seen.has(moment)) return false
        seen.add(moment)
        return true
      }
      const { code, signal, errors } = await buildVolumes(isNew, (kill) => kill())
      if (signal === 'SIGKILL') continue
      assert.equal(code, 0, JSON.stringify(errors))
      break
    }
    context.diagnostic(`killed at ${[...seen].join(', ')}`)
    await isWhole('records_data')
    await nothingToDo()
    assert.equal(generations(), 2)
  })

  test('an agent that is killed while it makes the data finishes with the next run', async () => {
    addVolume('second_data')
    const outcome = await buildVolumes(
      (event) => isStep(event, 'drbd-volume'),
      () => signalProcess(site, 'p-hive0', 'hive-agent', 'SIGKILL'),
    )
    if (outcome.code !== 0) await site.succeed(['build-volumes'])
    await isWhole('second_data')
    await nothingToDo()
    assert.match(await site.onHost('p-hive0.mirror', 'blkid -p -o value -s TYPE /dev/drbd3'), /ext4/)
  })

  test('while a host is off nothing is declared valid; with it the volume is made', async () => {
    addVolume('third_data')
    const before = generations()
    let off: Promise<void> | undefined
    const outcome = await buildVolumes(
      (event) => isStep(event, 'drbd-resource'),
      () => {
        off = power(site, 'off', 'p-hive1.mirror')
      },
    )
    await off
    assert.notEqual(outcome.code, 0)
    assert.equal(generations(), before)
    await power(site, 'on', 'p-hive1.mirror')
    await nodesReady(site, 'p-hive0.mirror', 3)
    await site.succeed(['build-volumes'])
    await isWhole('third_data')
    await nothingToDo()
  })

  test('a port that another program has is named by what it does, and the volume is made when it is free', async () => {
    addVolume('fourth_data')
    const program =
      "import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 7005)); s.listen(); time.sleep(600)"
    await site.onHost('p-hive2.mirror', `systemd-run --unit squatter python3 -c "${program}"`)
    const before = generations()
    const outcome = await site.run(['build-volumes'])
    assert.notEqual(outcome.code, 0)
    assert.match(JSON.stringify(outcome.errors), /p-hive2\.mirror is not connected|StandAlone/)
    assert.equal(generations(), before)
    assert.ok((await doctor(site, 'fourth_data')).includes('port-taken p-hive2.mirror'))
    await site.onHost('p-hive2.mirror', 'systemctl stop squatter')
    await site.succeed(['build-volumes'])
    await isWhole('fourth_data')
  })

  test('a host that dies at each kind of step that makes a volume, and the coordinator with it, leaves what the next run finishes', async (context) => {
    addVolume('fifth_data')
    const before = generations()
    const seen = new Set<string>()
    for (;;) {
      let dying = ''
      const { code, signal, errors } = await buildVolumes(
        (event) => event.code === 'step.started' && event.stepId.includes('/drbd-') && !seen.has(kindOf(event)),
        (kill, event) => {
          kill()
          if (event.code !== 'step.started') return
          seen.add(kindOf(event))
          dying = event.host
          signalProcess(site, short(dying), 'hive-agent', 'SIGSTOP')
        },
      )
      if (signal !== 'SIGKILL') {
        assert.equal(code, 0, JSON.stringify(errors))
        break
      }
      await power(site, 'off', dying)
      await power(site, 'on', dying)
      await eventually(`${dying} has its agent`, patience, () => site.onHost(dying, 'systemctl is-active hive-agent docker'))
      await nodesReady(site, hives.find((host) => host !== dying) ?? '', 3)
    }
    context.diagnostic(`died at ${[...seen].join(', ')}`)
    // The step for the file system on the other hosts has something to do in some orders only.
    for (const kind of ['build-volumes/drbd-resource', 'build-volumes/drbd-volume']) assert.ok(seen.has(kind), kind)
    await isWhole('fifth_data')
    await nothingToDo()
    assert.equal(generations(), before + 1)
  })

  test('a volume that hive-builder made is taken over as it is: data, metadata and node ids stay, and nothing goes down', async () => {
    const volume = 'old_data'
    addVolume(volume)
    const { volumes } = (await site.succeed(['inventory'])).result as { volumes: readonly { name: string; deviceId: number }[] }
    const minor = volumes.find(({ name }) => name === volume)?.deviceId ?? 0
    const onEach = (command: string): Promise<readonly string[]> => Promise.all(hives.map((host) => site.onHost(host, command)))
    const [first = ''] = hives
    await Promise.all(hives.map((host) => site.onHost(host, `cat > /etc/drbd.d/${volume}.res << 'END'\n${asHiveBuilder(volume, minor)}END`)))
    await onEach(
      `lvcreate --yes --virtualsize 32M --thinpool drbdpool --name ${volume} drbdvg && drbdadm create-md --force ${volume} && drbdadm adjust ${volume}`,
    )
    await eventually('they are connected', patience, async () => (await onEach(`drbdadm cstate ${volume}`)).every((text) => /^(Connected\s*){2}$/.test(text)))
    await site.onHost(first, `drbdadm primary --force ${volume} && mkfs.ext4 -q /dev/drbd${minor}`)
    await site.onHost(first, `mount /dev/drbd${minor} /mnt && echo 'older than hivecoord' > /mnt/note && umount /mnt && drbdadm secondary ${volume}`)
    await isWhole(volume)
    const dataOf = (host: string): Promise<string> =>
      site.onHost(host, `mount /dev/drbd${minor} /mnt && cat /mnt/note && umount /mnt && drbdadm secondary ${volume} 2>&1 || true`)
    const found = async () => ({
      generations: generations(),
      disruptive: drbd.log().match(/drbdsetup (down|detach|attach|disconnect|new-minor|del-minor) /g)?.length,
      // The UUID in its superblock, past what the host may have read before.
      fileSystem: await site.onHost(first, `dd if=/dev/drbdvg/${volume} iflag=direct bs=4096 count=1 status=none | od -An -tx1 -j1128 -N16`),
    })
    const before = await found()
    assert.doesNotMatch(before.fileSystem, /^[ 0\n]*$/)

    await site.succeed(['build-volumes'])
    await isWhole(volume)
    assert.deepEqual(await found(), before)
    for (const host of hives) assert.match(await dataOf(host), /^older than hivecoord$/m)
    for (const text of await onEach(`cat /etc/drbd.d/hive/${volume}.res.previous`)) assert.match(text, /sndbuf-size 1048576/)
    await nothingToDo()
  })

  test('a disk that was replaced is made anew and filled from the others', async () => {
    await drbd.replaceDisk('p-hive1', 'records_data')
    await eventually('its loss is seen', patience, async () => /Diskless|Failed/.test(await site.onHost('p-hive1.mirror', 'drbdadm dstate records_data')))
    const before = generations()
    await site.succeed(['build-volumes'])
    await isWhole('records_data')
    assert.equal(generations(), before)
    await nothingToDo()
  })

  test('a host with another secret is brought back by the next run', async () => {
    const host = 'p-hive2.mirror'
    await site.onHost(host, 'sed -i \'s/shared-secret .*/shared-secret "wrong";/\' /etc/drbd.d/second_data.res && drbdadm adjust second_data')
    await site.onHost(host, 'drbdadm disconnect second_data && drbdadm connect second_data')
    await eventually('it is not let in', patience, async () => /StandAlone/.test(await site.onHost(host, 'drbdadm cstate second_data')))
    const seen = await doctor(site, 'second_data')
    assert.ok(
      seen.some((text) => text.startsWith('wrong-secret') || text.startsWith('files-differ')),
      seen.join('; '),
    )
    await site.succeed(['build-volumes'])
    await isWhole('second_data')
    await nothingToDo()
  })

  test('a disk that was let go is attached again by the doctor', async () => {
    await site.onHost('p-hive1.mirror', 'drbdadm detach records_data')
    assert.ok((await doctor(site, 'records_data')).some((text) => text.startsWith('disk-detached p-hive1.mirror')))
    await doctor(site, 'records_data', '--repair')
    await isWhole('records_data')
    await healthy(site, 'records_data')
  })

  test('an adjust that broke off before it had attached the disk is gone on with by the next run', async () => {
    await site.onHost('p-hive0.mirror', 'drbdadm disconnect second_data && drbdadm detach second_data')
    await site.succeed(['build-volumes'])
    await isWhole('second_data')
    await nothingToDo()
  })

  test('the disk of another host is named, and its metadata is not written over', async () => {
    const host = 'p-hive2.mirror'
    await site.onHost(host, 'drbdadm down third_data')
    await drbd.renumber(short(host), '/dev/drbdvg/third_data', 5)
    const open = openIn(await plan(site, '--only', 'build-volumes'))
    assert.match(open.join('\n'), /blocked: the metadata on \/dev\/drbdvg\/third_data is of node id 5/)
    await drbd.renumber(short(host), '/dev/drbdvg/third_data', 2)
    await site.succeed(['build-volumes'])
    await isWhole('third_data')
  })

  test('volumes grow with their file systems while services write to them; smaller ones are refused', async (context) => {
    await site.succeed(['deploy'])
    // `least`: MB that the grown one shows; xfs takes 64 for its log.
    const services = [
      { service: 'ledger', volume: 'ledger_data', before: '320M', after: '400M', least: 300 },
      { service: 'records', volume: 'records_data', before: '64M', after: '96M', least: 80 },
    ]
    // ext4 in use grows for who has CAP_SYS_RESOURCE only.
    const growing = services.filter(({ service }) => service === 'ledger' || mayResizeExt4())
    if (growing.length < services.length) context.diagnostic('ext4 is left as it is: without CAP_SYS_RESOURCE this kernel does not grow it')
    const followed = growing.map((one) => ({ ...one, records: new Records(site, one.service, one.volume) }))
    try {
      const writers = await Promise.all(followed.map(({ records }) => records.writesElsewhere('p-hive0.mirror')))
      for (const { before, after } of growing) site.edit('inventory/services.yml', (text) => text.replace(`size: ${before}`, `size: ${after}`))
      await site.succeed(['build-volumes'])
      for (const [index, { records, volume, least }] of followed.entries()) {
        const writer = writers[index] ?? ''
        const size = Number(await site.onHost(writer, `df --output=size -BM /var/lib/docker/volumes/${volume}/_data | tail -1 | tr -d M`))
        assert.ok(size > least, `${volume} has ${size} MB on ${writer}`)
        await records.assertWhole(writer)
        // The new part is copied while the service goes on; as long as it is, a plan says so.
        await eventually(
          `the new part of ${volume} is copied`,
          patience,
          async () => !(await site.onHost(writer, `drbdadm dstate ${volume}`)).includes('Inconsistent'),
        )
      }
      await nothingToDo()
    } finally {
      for (const { records } of followed) records.stop()
    }
    site.edit('inventory/services.yml', (text) => text.replace('size: 400M', 'size: 320M'))
    assert.match(openIn(await plan(site, '--only', 'build-volumes')).join('\n'), /ledger_data has \d+ bytes.*a volume is not made smaller/)
  })
})

/** A resource file with the options that hive-builder writes: no secret, node ids in the order of the names. */
const asHiveBuilder = (volume: string, minor: number): string => {
  const host = (name: string, index: number): string =>
    `  on ${name} { address 10.88.0.${4 + index}:${7000 + minor}; node-id ${index}; volume 0 { device minor ${minor}; disk /dev/drbdvg/${volume}; meta-disk internal; } }\n`
  const options = '  options { quorum majority; on-no-quorum io-error; }\n'
  const disk =
    '  disk { disk-flushes yes; md-flushes yes; c-plan-ahead 1; c-max-rate 1024000; c-delay-target 1; c-fill-target 1M; rs-discard-granularity 1048576; }\n'
  const mesh = `  connection-mesh { hosts ${hives.join(' ')}; net { max-buffers 16000; max-epoch-size 16000; sndbuf-size 1048576; } }\n`
  return `resource ${volume} {\n${options}${disk}${hives.map(host).join('')}${mesh}}\n`
}

/** Bit 24 of the capabilities that processes of this machine, and so of its hosts, can have. */
const mayResizeExt4 = (): boolean => {
  const [, bits = '0'] = /^CapBnd:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return ((BigInt(`0x${bits}`) >> 24n) & 1n) === 1n
}
