/** What collectors make of what the host says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { mountOf, parseStatfs, toFill } from '../../../agent/adapters/disk-fill.ts'
import type { ContainerListed, Node, Service, Task } from '../../../agent/adapters/docker/api-types.ts'
import { parseMountinfo } from '../../../agent/adapters/mounts.ts'
import { backupSamples } from '../../../agent/watchers/reporter/collect/backups.ts'
import { parseDiskStats } from '../../../agent/watchers/reporter/collect/disks.ts'
import { drbdSamples } from '../../../agent/watchers/reporter/collect/drbd.ts'
import { concerned } from '../../../agent/watchers/reporter/collect/file-systems.ts'
import { innerSamples } from '../../../agent/watchers/reporter/collect/inner-units.ts'
import { cpuSamples, loadSamples, memorySamples, parseCpu } from '../../../agent/watchers/reporter/collect/load.ts'
import { parseNetDev } from '../../../agent/watchers/reporter/collect/network.ts'
import { isDenial } from '../../../agent/watchers/reporter/collect/selinux.ts'
import { serviceContainers } from '../../../agent/watchers/reporter/collect/service-containers.ts'
import { hostInZabbix, nodeCounts, serviceSamples, swarm } from '../../../agent/watchers/reporter/collect/swarm.ts'
import { osName, secondsUp } from '../../../agent/watchers/reporter/collect/system.ts'
import { taskSamples } from '../../../agent/watchers/reporter/collect/tasks.ts'
import { isIgnored, parseShown, unitSamples } from '../../../agent/watchers/reporter/collect/units.ts'
import { ratesOf } from '../../../agent/watchers/reporter/collector.ts'
import { intervals } from '../../../agent/watchers/reporter/pace.ts'
import { baseOf, type Sample } from '../../../agent/watchers/reporter/value.ts'
import { recordedStatus } from '../drbd/support/recorded.ts'

const fixture = <T>(name: string): T => JSON.parse(readFileSync(new URL(`../../fixtures/docker/${name}.json`, import.meta.url), 'utf8')) as T
const nodes = fixture<Node[]>('nodes')
const services = fixture<Service[]>('services')

/** As an object, and held against the catalogue: what it does not know would never be sent. */
function told(samples: readonly Sample[]): Readonly<Record<string, string | number>> {
  for (const { key } of samples) assert.ok(intervals.has(baseOf(key)), `${key} is not in the catalogue`)
  return Object.fromEntries(samples.map(({ key, value }) => [key, value]))
}

describe('the host', () => {
  const before = 'cpu  1000 10 200 8000 50 0 5 20 0 0\ncpu0 1 2 3\nprocs_running 3\n'
  const after = 'cpu  1300 10 300 8500 100 0 5 70 0 0\ncpu0 1 2 3\n'

  test('CPU is the share between two looks', () =>
    assert.deepEqual(told(cpuSamples(parseCpu(before), parseCpu(after))), { 'hive.cpu.util': 45, 'hive.cpu.iowait': 5, 'hive.cpu.steal': 5 }))
  test('no CPU where the counters did not move', () => assert.deepEqual(cpuSamples(parseCpu(before), parseCpu(before)), []))
  test('load', () =>
    assert.deepEqual(told(loadSamples('3.20 1.50 0.70 3/400 1234\n', 2)), {
      'hive.cpu.count': 2,
      'hive.load1': 3.2,
      'hive.load5': 1.5,
      'hive.load15': 0.7,
      'hive.load1.percore': 1.6,
    }))
  test('memory and no swap', () =>
    assert.deepEqual(
      told(memorySamples('MemTotal:        1000 kB\nMemFree:  1 kB\nMemAvailable:     250 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n')),
      {
        'hive.memory.total': 1_024_000,
        'hive.memory.available': 256_000,
        'hive.memory.util': 75,
        'hive.swap.total': 0,
        'hive.swap.pfree': 100,
      },
    ))
  test('up since its first process, in a container too', () => {
    const stat = '1 (systemd) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 50000 1 2'
    assert.equal(secondsUp('1000.50 900.00\n', stat), 501)
    assert.equal(secondsUp('1000.50 900.00\n', stat.replace(' 50000 ', ' 0 ')), 1001)
  })
  test('operating system', () =>
    assert.equal(osName('NAME="X"\nPRETTY_NAME="AlmaLinux 9.4 (Seafoam Ocelot)"\nID=almalinux\n'), 'AlmaLinux 9.4 (Seafoam Ocelot)'))

  test('disks are whole ones that were used, and mirrored volumes', () => {
    const text = [
      ' 254       0 vda 100 5 2000 300 50 6 1000 400 0 250 700 0 0 0 0 0 0',
      ' 254       1 vda1 90 5 2000 300 50 6 1000 400 0 250 700',
      '   7       0 loop0 10 0 1 1 0 0 0 0 0 1 1',
      ' 147       3 drbd3 10 0 80 20 0 0 0 0 0 20 20',
      '  11       0 sdb 0 0 0 0 0 0 0 0 0 0 0',
    ].join('\n')
    assert.deepEqual(
      parseDiskStats(text).map(({ name, reads, readMilliseconds, writeMilliseconds, busyMilliseconds }) => [
        name,
        reads,
        readMilliseconds,
        writeMilliseconds,
        busyMilliseconds,
      ]),
      [
        ['vda', 100, 300, 400, 250],
        ['drbd3', 10, 20, 0, 20],
      ],
    )
  })

  test('interfaces of docker and of containers are none of the host', () => {
    const line = (name: string): string => `${name}: 1000 10 2 0 0 0 0 0 2000 20 3 0 0 0 0 0`
    const text = `Inter-|\n face |\n${['    lo', '  eth0', 'docker_gwbridge', 'vethab12', ' enp3s0', 'br-00ff'].map(line).join('\n')}\n`
    assert.deepEqual(parseNetDev(text), [
      { name: 'eth0', inBytes: 1000, inErrors: 2, outBytes: 2000, outErrors: 3 },
      { name: 'enp3s0', inBytes: 1000, inErrors: 2, outBytes: 2000, outErrors: 3 },
    ])
  })

  test('rates: none at the first look, none over a restart of the counter', () => {
    let now = 0
    const rate = ratesOf(() => now)
    assert.equal(rate('x', 100), undefined)
    now += 2000
    assert.equal(rate('x', 300), 100)
    now += 1000
    assert.equal(rate('x', 5), undefined)
    now += 1000
    assert.equal(rate('x', 6), 1)
  })
})

describe('file systems', () => {
  const mounts = parseMountinfo(
    [
      '22 1 254:1 / / rw,relatime - xfs /dev/vda1 rw',
      '23 22 0:21 / /proc rw - proc proc rw',
      '24 22 254:2 / /boot rw - ext4 /dev/vda2 rw',
      '25 22 254:3 / /var/lib/docker rw - xfs /dev/vda3 rw',
      '26 25 0:50 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw',
      '27 25 147:1 / /var/lib/docker/volumes/v/_data rw - xfs /dev/drbd1 rw',
      '28 22 254:1 /home /mnt/home rw - xfs /dev/vda1 rw',
      '29 22 0:60 / /shared rw - nfs4 server:/x rw',
      '30 22 11:0 / /media ro - iso9660 /dev/sr0 ro',
      '31 22 0:61 / /run/user/1 rw - tmpfs tmpfs rw',
    ].join('\n'),
  )
  test('each once, without those of containers and volumes', () =>
    assert.deepEqual(
      concerned(mounts).map(({ mountPoint }) => mountPoint),
      ['/', '/boot', '/var/lib/docker', '/shared'],
    ))
  test('a path lies on the deepest mount', () => {
    assert.equal(mountOf('/var/lib/docker/volumes/v/_data', mounts)?.source, '/dev/drbd1')
    assert.equal(mountOf('/var/lib/docker/volumes/w/_data', mounts)?.source, '/dev/vda3')
    assert.equal(mountOf('/bootstrap', mounts)?.source, '/dev/vda1')
  })
  test('in use, as df has it: what is kept for root is not free', () => {
    const fill = toFill(parseStatfs('4096 1000 500 450 100 25\n'))
    assert.equal(fill.totalBytes, 4_096_000)
    assert.equal(fill.freeBytes, 1_843_200)
    assert.equal(Math.round(fill.usedPercent * 100), 5263)
    assert.equal(fill.freeInodesPercent, 25)
  })
  test('nothing fixed about inodes is no lack of them', () => assert.equal(toFill(parseStatfs('4096 10 5 5 0 0')).freeInodesPercent, 100))
})

describe('units of systemd', () => {
  const block = (id: string, type: string, active: string, file: string, micros: number): string =>
    `Type=${type}\nId=${id}\nActiveState=${active}\nUnitFileState=${file}\nActiveEnterTimestampMonotonic=${micros}\n`
  const shown = parseShown(
    [
      block('docker.service', 'notify', 'active', 'enabled', 5_000_000),
      block('web.service', 'simple', 'active', 'enabled', 9_950_000_000),
      block('setup.service', 'oneshot', 'failed', 'enabled', 0),
      block('kdump.service', 'oneshot', 'failed', 'enabled', 0),
      block('getty@tty1.service', 'idle', 'active', 'enabled', 5_000_000),
      block('dbus-broker.service', 'dbus', 'active', 'enabled', 5_000_000),
      block('data.mount', '', 'failed', 'static', 0),
    ].join('\n'),
  )
  const ignored = ['kdump', 'getty@*']

  test('those that failed, without those that nobody wants to hear of', () => {
    const samples = told(unitSamples(shown, ignored, 10_000, 10_000))
    assert.equal(samples['hive.units.failed.count'], 2)
    assert.equal(samples['hive.units.failed'], 'setup.service data.mount')
    assert.equal(samples['hive.unit.discovery'], '[{"{#UNIT}":"docker"},{"{#UNIT}":"web"}]')
  })
  test('restarted within three minutes, and not by the boot', () => {
    assert.equal(told(unitSamples(shown, ignored, 10_000, 10_000))['hive.unit.restarted[web]'], 1)
    assert.equal(told(unitSamples(shown, ignored, 10_000, 10_000))['hive.unit.restarted[docker]'], 0)
    assert.equal(told(unitSamples(shown, ignored, 10_200, 10_200))['hive.unit.restarted[web]'], 0)
    assert.equal(told(unitSamples(shown, ignored, 10_000, 300))['hive.unit.restarted[web]'], 0)
  })
  test('patterns', () => {
    assert.ok(isIgnored('getty@tty1.service', ['getty@*']))
    assert.ok(!isIgnored('networkd.service', ['network']))
    assert.ok(isIgnored('network.service', ['network']))
  })
  test('inside a container: since when, and how long after its container', () => {
    const samples = told(innerSamples('ldap', '1', shown, 10_000, 9_000))
    assert.equal(samples['hive.inner.failed.count[ldap,1]'], 3)
    assert.equal(samples['hive.inner.uptime[ldap,1,web]'], 50)
    assert.equal(samples['hive.inner.lag[ldap,1,web]'], 950)
    assert.equal(samples['hive.inner.lag[ldap,1,docker]'], 0)
  })
  test('a systemd that does not answer', () => assert.equal(told(innerSamples('ldap', '1', undefined, 0, 0))['hive.inner.failed.count[ldap,1]'], 99))
})

describe('the swarm', () => {
  const now = Date.parse('2026-11-23T15:00:00Z')
  const task = (of: Service, slot: number | undefined, nodeId: string, since: string, state = 'running'): Task => ({
    ID: `task-${slot ?? nodeId}`,
    CreatedAt: since,
    Spec: of.Spec.TaskTemplate,
    ServiceID: of.ID,
    ...(slot === undefined ? {} : { Slot: slot }),
    NodeID: nodeId,
    DesiredState: 'running',
    Status: { Timestamp: since, State: state },
  })
  const glob = services.find(({ Spec }) => Spec.Name === 'glob') as Service
  const full = {
    ...glob,
    ID: 'full',
    Spec: { ...glob.Spec, Name: 'full', Labels: { HIVE_STANDALONE: 'True' }, Mode: { Replicated: { Replicas: 2 } } },
  }
  const mounts = [
    { Type: 'volume', Source: 'data', Target: '/data' },
    { Type: 'bind', Source: '/etc', Target: '/x' },
  ]
  const withMounts = { ...full, Spec: { ...full.Spec, TaskTemplate: { ContainerSpec: { Mounts: mounts } } } }
  const tasks = [
    ...nodes.map(({ ID }) => task(glob, undefined, ID, '2026-11-23T14:00:00Z')),
    task(withMounts, 1, nodes[0]?.ID ?? '', '2026-11-23T14:59:00Z'),
    task(withMounts, 2, '', '2026-11-23T14:59:30Z', 'pending'),
  ]
  const picture = { nodes, services: [glob, withMounts], tasks }

  test('hosts', () =>
    assert.deepEqual(told(nodeCounts(nodes)), {
      'hive.swarm.leader': nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)?.Description.Hostname,
      'hive.swarm.nodes': 3,
      'hive.swarm.nodes.down': 0,
      'hive.swarm.nodes.inactive': 0,
      'hive.swarm.managers': 3,
      'hive.swarm.managers.reachable': 3,
    }))

  test('replicas, and since when the youngest task runs', () => {
    const samples = told(serviceSamples(picture, now))
    assert.equal(samples['hive.service.replicas[glob]'], 100)
    assert.equal(samples['hive.service.uptime[glob]'], 3600)
    assert.equal(samples['hive.service.replicas.running[full]'], 1)
    assert.equal(samples['hive.service.replicas.desired[full]'], 2)
    assert.equal(samples['hive.service.replicas[full]'], 50)
    assert.equal(samples['hive.service.uptime[full]'], 60)
  })

  test('the tasks of a dead host do not count, whatever they last said', () => {
    const [first, ...others] = nodes
    const dead = { ...(first as Node), Status: { State: 'down' } }
    const samples = told(serviceSamples({ ...picture, nodes: [dead, ...others] }, now))
    assert.equal(samples['hive.service.replicas.running[full]'], 0)
    assert.equal(samples['hive.service.replicas.running[glob]'], 2)
    assert.equal(samples['hive.service.uptime[full]'], undefined)
  })

  test('the leader tells what is to be found, and hosts on their own names', async () => {
    const round = { swarm: async () => picture } as never
    const collected = await swarm.collect({
      configuration: { host: 's-h1.site', swarmHost: 's-swarm.site' } as never,
      round,
      signal: new AbortController().signal,
      now,
      mark: () => undefined,
    })
    const samples = collected as readonly Sample[]
    told(samples)
    const found = (key: string): unknown => JSON.parse(String(samples.find((sample) => sample.key === key && sample.host === 's-swarm.site')?.value))
    assert.deepEqual(found('hive.standalone.discovery'), [{ '{#SERVICE_NAME}': 'full', '{#TASK}': '1' }])
    assert.deepEqual(found('hive.volume.discovery'), [{ '{#SERVICE_NAME}': 'full', '{#TASK}': '1', '{#PATH}': '/data', '{#VOLUME}': 'data' }])
    assert.deepEqual(
      (found('hive.task.discovery') as readonly Record<string, string>[]).map((row) => `${row['{#SERVICE_NAME}']} ${row['{#TASK}']}`),
      ['full 1', 'glob h1', 'glob h2', 'glob h3'],
    )
    assert.equal(samples.find(({ host, key }) => host === 'h2.site' && key === 'hive.swarm.node.ready')?.value, 1)
  })

  test('who does not lead tells nothing of it', async () => {
    const round = { swarm: async () => undefined } as never
    assert.deepEqual(
      await swarm.collect({ configuration: { host: 'h', swarmHost: 's' } as never, round, signal: new AbortController().signal, now, mark: () => undefined }),
      [],
    )
  })

  test('a node is called in Zabbix as its host in the inventory', () => {
    assert.equal(hostInZabbix('s-hive0', 's-hive1.pdns'), 's-hive0.pdns')
    assert.equal(hostInZabbix('s-hive0', 'lonely'), 's-hive0')
  })

  test("containers know their task by docker's labels", () => {
    const container = (service: string, name: string): ContainerListed =>
      ({
        Id: name,
        Names: [`/${name}`],
        Image: 'x',
        State: 'running',
        Status: 'Up',
        Created: 0,
        Labels: { 'com.docker.swarm.service.name': service, 'com.docker.swarm.task.name': name },
        Mounts: [{ Type: 'volume', Name: 'data', Source: '/var/lib/docker/volumes/data/_data', Destination: '/data' }],
      }) as ContainerListed
    const found = serviceContainers(
      [container('my.web', 'my.web.2.abc'), container('glob', 'glob.hzi6nuat7zsuwe8it0isdddpv.abc'), { ...container('x', 'x'), Labels: {} }],
      'h2',
    )
    assert.deepEqual(
      found.map(({ service, task: name, volumes }) => [service, name, volumes[0]?.target]),
      [
        ['my.web', '2', '/data'],
        ['glob', 'h2', '/data'],
      ],
    )
  })

  test('CPU and memory are of the limits', () => {
    const stats = { cpu_stats: { cpu_usage: { total_usage: 1 } }, memory_stats: { usage: 120, stats: { inactive_file: 20 } } }
    assert.deepEqual(told(taskSamples('web', '1', stats, { cores: 0.5, memory: 200 }, 0.25)), {
      'hive.task.cpu[web,1]': 50,
      'hive.task.memory[web,1]': 100,
      'hive.task.memory.percent[web,1]': 50,
      'hive.task.memory.limit[web,1]': 200,
    })
  })
})

describe('mirrored volumes', () => {
  const samplesOf = (state: string, hosts: readonly Node[] = []) => told(drbdSamples([], [recordedStatus(state)], hosts))

  test('all is well', () => {
    const samples = samplesOf('12-resync-finished/s-hive0')
    const [name] = Object.keys(samples).flatMap((key) => /^hive\.drbd\.disk\[(.*)\]$/.exec(key)?.[1] ?? [])
    assert.deepEqual(
      [samples[`hive.drbd.disk[${name}]`], samples[`hive.drbd.quorum[${name}]`], samples[`hive.drbd.peers.lost[${name}]`], samples[`hive.drbd.oos[${name}]`]],
      ['UpToDate', 1, 0, 0],
    )
  })
  test('a host that only votes', () =>
    assert.equal(Object.entries(samplesOf('19-diskless-tiebreaker/s-hive2')).find(([key]) => key.startsWith('hive.drbd.disk['))?.[1], 'Diskless client'))
  test('a split brain', () =>
    assert.ok(Number(Object.entries(samplesOf('17-split-brain/s-hive0')).find(([key]) => key.startsWith('hive.drbd.standalone['))?.[1]) > 0))
  test('a host that swarm takes to be down is not missed', () => {
    const status = recordedStatus('13-primary-killed/s-hive1')
    const gone = status.connections.find(({ state }) => state !== 'Connected')?.name ?? ''
    const node = (state: string): Node => ({ ...(nodes[0] as Node), Description: { Hostname: gone.split('.')[0] ?? '' }, Status: { State: state } })
    const lost = (hosts: readonly Node[]) => told(drbdSamples([], [status], hosts))[`hive.drbd.peers.lost[${status.name}]`]
    assert.equal(lost([node('ready')]), 1)
    assert.equal(lost([node('down')]), 0)
    assert.equal(lost([]), 1)
  })
  test('one that should be up and is not, with digits in its name', () => assert.equal(told(drbdSamples(['data2'], [], []))['hive.drbd.disk[data2]'], 'Not up'))
})

describe('the repository server', () => {
  const now = Date.parse('2026-01-03T00:00:00Z')
  test('backups: age, failure since, test', () => {
    const notes = {
      web: { lastSuccess: '2026-01-02T00:00:00Z', lastFailure: '2026-01-01T00:00:00Z', reason: 'old', size: 5, provenAt: '2026-01-02T12:00:00Z' },
      db: { lastSuccess: '2026-01-01T00:00:00Z', lastFailure: '2026-01-02T00:00:00Z', reason: 'the dump ended early', size: 7 },
      new: {},
    }
    const samples = told(backupSamples(JSON.stringify(notes), now))
    assert.equal(samples['hive.backup.age[web]'], 86_400)
    assert.deepEqual([samples['hive.backup.failed[web]'], samples['hive.backup.reason[web]'], samples['hive.backup.proven.age[web]']], [0, '', 43_200])
    assert.deepEqual(
      [samples['hive.backup.failed[db]'], samples['hive.backup.reason[db]'], samples['hive.backup.proven.age[db]']],
      [1, 'the dump ended early', -1],
    )
    assert.equal(samples['hive.backup.age[new]'], undefined)
    assert.equal(samples['hive.backup.discovery'], '[{"{#BACKUP}":"db"},{"{#BACKUP}":"new"},{"{#BACKUP}":"web"}]')
  })
  test('notes that are no JSON are an error, not nothing', () => assert.throws(() => backupSamples('{', now), /no JSON/))
  test('denials of SELinux', () => {
    assert.ok(isDenial('type=AVC msg=audit(1700000000.123:45): avc:  denied  { read } for  pid=1 comm="x" scontext=a tcontext=b tclass=file permissive=0'))
    assert.ok(!isDenial('type=AVC msg=audit(1700000000.123:45): avc:  granted  { read } for  pid=1'))
    assert.ok(!isDenial('type=SYSCALL msg=audit(1700000000.123:45): arch=c000003e syscall=257 denied'))
  })
})
