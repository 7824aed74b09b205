/** What is wrong with mirrored volumes is told with its place; what works but is doubtful is a notice. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { InventoryError } from '../../../coordinator/inventory/problems.ts'
import { volumeBytes, wholeExtents } from '../../../coordinator/inventory/quantities.ts'
import { siteFolder } from './site-folder.ts'

const host = (index: number) => `s-hive${index}.test.example.com`

interface Written {
  readonly hosts?: number
  readonly name?: string
  readonly drbd?: string
  readonly service?: string
  readonly variables?: string
  readonly more?: Readonly<Record<string, string>>
  readonly stage?: string
}

async function load(
  context: TestContext,
  { hosts = 4, name = 'data', drbd = '{size: 1G, fstype: xfs}', service = '', variables = '', more = {}, stage }: Written,
) {
  const root = siteFolder(context, {
    'inventory/hive.yml': `plugin: hive_inventory
name: test.example.com
stages:
  staging: {${stage ?? 'provider: prepared'}, cidr: 192.168.0.0/24, number_of_hosts: ${hosts}}
`,
    'inventory/s.yml': `plugin: hive_services
services:
  db:
    image: mariadb
${service === '' ? '' : `    ${service}\n`}    volumes:
    - {source: ${name}, target: /d, type: volume, drbd: ${drbd}}
`,
    ...(variables === '' ? {} : { 'inventory/group_vars/all.yml': variables }),
    ...more,
  })
  return loadSite({ root, env: {}, stage: 'staging' })
}

async function mistakes(context: TestContext, written: Written): Promise<readonly string[]> {
  const thrown: unknown = await load(context, written).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(thrown instanceof InventoryError, 'the inventory is refused')
  return thrown.problems.map(({ file, line, message, instead }) => `${file}:${line} ${message} — ${instead}`)
}

async function notices(context: TestContext, written: Written): Promise<string> {
  return (await load(context, written)).notices.join('\n')
}

test('sizes are read as lvcreate reads them', () => {
  const mib = 2n ** 20n
  for (const [text, bytes] of [
    ['500M', 500n * mib],
    ['500', 500n * mib],
    ['20G', 20n * 1024n * mib],
    ['1.5t', 1536n * 1024n * mib],
    ['2048s', mib],
    ['1048576b', mib],
    ['0.5g', 512n * mib],
  ] as const)
    assert.equal(volumeBytes(text), bytes, text)
  for (const text of ['', '0', '0G', '-1G', '50%VG', '100%FREE', '1GB', '1e3', 'all', '1,5G']) assert.equal(volumeBytes(text), undefined, text)
})

test('a size is rounded up to whole extents, by less than one', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 60n }), (bytes) => {
      const rounded = wholeExtents(bytes)
      assert.equal(rounded % 4_194_304n, 0n)
      assert.ok(rounded >= bytes && rounded - bytes < 4_194_304n)
      assert.equal(wholeExtents(rounded), rounded)
    }),
  )
})

test('a volume has what DRBD needs, with the defaults of hive-builder', async (context) => {
  const site = await load(context, {
    variables: 'hive_partition_label: gpt\n',
    more: { [`inventory/host_vars/${host(1)}.yml`]: 'hive_no_mirrored_devices: yes\n' },
  })
  assert.deepEqual([site.volumes[0]?.sizeBytes, site.volumes[0]?.deviceId, site.volumes[0]?.fstype], [2n ** 30n, 1, 'xfs'])
  assert.deepEqual(
    site.hosts.map(({ settings }) => settings.noMirroredDevice),
    [false, true, false, false],
  )
  const [first] = site.hosts
  assert.equal(first?.settings.partitionLabel, 'gpt')
  assert.deepEqual(
    first?.settings.mirroredPools.map(({ volumeGroup, thinPool, devices }) => [volumeGroup, thinPool, devices.length]),
    [['drbdvg', 'drbdpool', 8]],
  )
})

test('no host with a disk, more than eight, an unknown volume group: refused at the place', async (context) => {
  const all = [0, 1, 2].map(host).join(', ')
  assert.deepEqual(await mistakes(context, { drbd: `{size: 1G, fstype: xfs, diskless: [${all}]}` }), [
    "inventory/s.yml:6 no host of the stage would hold a disk of 'data' — leave hosts out of diskless, or away with hive_no_mirrored_device",
  ])
  assert.match((await mistakes(context, { variables: 'hive_no_mirrored_device: True\n' })).join(), /no host of the stage would hold a disk/)
  assert.match((await mistakes(context, { hosts: 10 })).join(), /s\.yml:6 9 hosts would hold a disk of 'data', the most are 8/)
  assert.match(
    (await mistakes(context, { drbd: '{size: 1G, fstype: xfs, vgname: drbdgv}' })).join(),
    /s\.yml:6 s-hive0\.test\.example\.com has no volume group 'drbdgv' in hive_mirrored_disk_devices — did you mean drbdvg/,
  )
  assert.match((await mistakes(context, { drbd: '{size: 1G, fstype: btrfs}' })).join(), /unknown file system 'btrfs' — .*xfs.*ext4/)
})

test('pools are a list of disks, a volume group and a thin pool or none', async (context) => {
  const pools = (text: string) => ({ variables: `hive_mirrored_disk_devices:\n${text}\n` })
  assert.match((await mistakes(context, pools('- {device_order: [sdb], vgname: drbdvg}'))).join(), /all\.yml:2 'sdb' is no disk/)
  assert.match((await mistakes(context, pools('- {device_order: [/dev/sdb], vgname: a b}'))).join(), /all\.yml:2 'vgname' must be the name of a volume group/)
  assert.match((await mistakes(context, pools('- {devices: [/dev/sdb], vgname: drbdvg}'))).join(), /all\.yml:2 unknown key 'devices'/)
  const twice = pools('- {device_order: [/dev/sdb], vgname: drbdvg}\n- {device_order: [/dev/sdc], vgname: drbdvg}')
  assert.match((await mistakes(context, twice)).join(), /all\.yml:3 the volume group drbdvg is there twice/)
  const other = { [`inventory/host_vars/${host(2)}.yml`]: 'hive_mirrored_disk_devices: [{device_order: [/dev/sdb], vgname: drbdvg}]\n' }
  assert.match((await mistakes(context, { more: other })).join(), /the thin pool of drbdvg is drbdpool on s-hive0\.\S+ and none on s-hive2/)
})

test('a service for which no host with a disk is left is refused at its place', async (context) => {
  const [problem, ...others] = await mistakes(context, {
    drbd: `{size: 1G, fstype: xfs, diskless: [${host(2)}]}`,
    service: 'placement: {constraints: [node.hostname == s-hive2]}',
  })
  assert.deepEqual(others, [])
  assert.match(
    problem ?? '',
    /^inventory\/s\.yml:4 no host is left that its placement allows.* — its volumes keep it off s-hive2: change placement or diskless$/,
  )
})

test('one disk, two hosts, a small xfs are notices', async (context) => {
  const told = await notices(context, { drbd: `{size: 52M, fstype: xfs, diskless: [${host(0)}, ${host(2)}]}` })
  assert.match(told, /inventory\/s\.yml:6:\d+: .*'data' is on the disk of one host alone/)
  assert.match(told, /inventory\/s\.yml:6:\d+: .*mkfs\.xfs makes no file system below 300 MB/)
  assert.match(await notices(context, { hosts: 3 }), /'data' has two hosts/)
  assert.doesNotMatch(await notices(context, { drbd: '{size: 301M, fstype: xfs}' }), /two hosts|one host|300 MB/)
  assert.doesNotMatch(await notices(context, { drbd: '{size: 52M, fstype: ext4}' }), /300 MB/)
})

test('nothing of this is said where hosts share folders, unless they are to have DRBD', async (context) => {
  const small = { hosts: 3, stage: 'provider: vagrant', drbd: '{size: 52M, fstype: xfs}' }
  assert.doesNotMatch(await notices(context, small), /300 MB|two hosts/)
  const told = await notices(context, { ...small, variables: 'hive_nspawn_drbd: True\n' })
  assert.match(told, /300 MB/)
  assert.match(told, /two hosts/)
})

test('a volume that is not written any more stays, and is told', async (context) => {
  const more = { '.hive/persistents.yml': 'drbd_device_map: {staging: {data: 4, old: 3}}\nallocations_per_stage: {global: true}\n' }
  const site = await load(context, { more })
  assert.equal(site.volumes[0]?.deviceId, 4)
  assert.ok(site.notices.some((notice) => /^the volume 'old' \(device id 3\) is not in the inventory any more .*hivecoord volume delete old/.test(notice)))
  assert.ok(!site.notices.some((notice) => notice.includes("'data'")))
})

test('a name that docker, LVM or DRBD would not take is refused at its place', async (context) => {
  for (const name of ['d', 'all', '-data', 'my data'])
    assert.match(
      (await mistakes(context, { name: JSON.stringify(name) })).join(),
      /s\.yml:6 '.+' can't be the name of a mirrored volume — use two or more letters/,
      name,
    )
})
