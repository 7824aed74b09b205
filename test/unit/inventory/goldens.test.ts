import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { formatNetwork4, parseNetwork4, splitInternal } from '../../../coordinator/inventory/addresses.ts'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { inventoryJson, inventoryText } from '../../../coordinator/inventory/render-inventory.ts'

const root = join(import.meta.dirname, '../../fixtures/sites/pdns')
const hostsOf = async (stage: string): Promise<string[]> =>
  (await loadSite({ root, stage })).hosts.map((host) =>
    [host.name, host.address, host.zone ?? '-', host.isHive ? 'hive' : '', host.isRepository ? 'repo' : ''].join(' ').trim(),
  )

describe("hive-builder's sample site", () => {
  test('gets the hosts, addresses and zones that hive-builder gives', async () => {
    assert.deepEqual(await hostsOf('private'), ['p-hive0.pdns 192.168.56.4 - hive repo'])
    assert.deepEqual(await hostsOf('staging'), [
      's-hive0.pdns 192.168.0.5 ap-northeast-1d hive',
      's-hive1.pdns 192.168.0.69 ap-northeast-1b hive',
      's-hive2.pdns 192.168.0.133 ap-northeast-1c hive',
      's-hive3.pdns 192.168.0.6 ap-northeast-1d  repo',
    ])
    assert.deepEqual(await hostsOf('production'), [
      'hive0.pdns 192.168.0.4 1 hive',
      'hive1.pdns 192.168.0.5 2 hive',
      'hive2.pdns 192.168.0.6 3 hive',
      'hive3.pdns 192.168.0.7 1  repo',
    ])
  })

  test('is shown with netmasks, subnets, groups and tags', async () => {
    const shown = async (stage: string): Promise<ReturnType<typeof inventoryJson>> => inventoryJson(await loadSite({ root, stage }))
    const local = await shown('private')
    assert.deepEqual(local.hosts, [
      {
        name: 'p-hive0.pdns',
        shortName: 'p-hive0',
        address: '192.168.56.4',
        netmask: '255.255.255.224',
        subnet: 'pdns-default',
        zone: null,
        groups: ['first_hive', 'hives', 'hosts', 'private', 'repository', 'servers'],
      },
    ])
    const staging = await shown('staging')
    assert.deepEqual(
      staging.hosts.map((host) => [host.netmask, host.subnet, host.groups.join(' ')]),
      [
        ['255.255.255.192', 'subnet-a', 'first_hive hives hosts servers staging'],
        ['255.255.255.192', 'subnet-b', 'hives hosts servers staging'],
        ['255.255.255.192', 'subnet-c', 'hives hosts servers staging'],
        ['255.255.255.192', 'subnet-a', 'hosts repository servers staging'],
      ],
    )
    assert.deepEqual(
      staging.images.map((image) => image.tag),
      ['pdnsdb', 'pdnsadmin', 'configure', 'certbot'].map((name) => `s-hive3.pdns:5000/image_${name}:latest`),
    )
    assert.equal(staging.services.find((service) => service.name === 'certbot')?.image, 's-hive3.pdns:5000/image_certbot:latest')
    assert.deepEqual(
      (await shown('production')).hosts.map((host) => [host.netmask, host.subnet, host.zone]),
      [1, 2, 3, 1].map((zone) => ['255.255.255.0', 'pdns-default', zone]),
    )
  })

  test('gives the repository server its own disk size', async () => {
    const site = await loadSite({ root, stage: 'production' })
    assert.deepEqual(
      site.hosts.map((host) => host.settings.diskSizeGb),
      [100, 100, 100, 150],
    )
  })

  test('numbers volumes in file order, on stages without them too', async () => {
    const staging = await loadSite({ root, stage: 'staging' })
    assert.deepEqual(
      staging.volumes.map((volume) => [volume.name, volume.deviceId]),
      [
        ['pdnsdb_data', 1],
        ['pdnsadmin_data', 2],
        ['proxy_config', 3],
        ['letsencrypt_data', 4],
      ],
    )
    const local = await loadSite({ root, stage: 'private' })
    assert.deepEqual(local.volumes, [])
    assert.deepEqual(local.variable('volume_letsencrypt_data', 'hive_volume'), {
      name: 'letsencrypt_data',
      drbd: { size: '52M', fstype: 'xfs', device_id: 4 },
    })
  })

  test('publishes 53 of both protocols, 80 and 443', async () => {
    const site = await loadSite({ root, stage: 'staging' })
    assert.deepEqual(
      site.services.flatMap((service) => service.ports.map((port) => `${service.name} ${port.published}:${port.target}/${port.protocol}`)),
      ['powerdns 53:53/tcp', 'powerdns 53:53/udp', 'proxy 80:80/tcp', 'proxy 443:443/tcp'],
    )
    assert.deepEqual(site.variable('s-hive0.pdns', 'hive_published_ports_tcp'), ['53', '80', '443'])
    assert.deepEqual(site.variable('s-hive0.pdns', 'hive_published_ports_udp'), ['53'])
  })

  test('leaves out what its templates omit', async () => {
    const cloud = await loadSite({ root, stage: 'staging' })
    assert.deepEqual(cloud.hosts[0]?.settings.ntpServers, [])
    assert.equal(cloud.hosts[0]?.settings.timezone, 'Asia/Tokyo')
    const local = await loadSite({ root, stage: 'private' })
    assert.deepEqual(local.hosts[0]?.settings.ntpServers, ['ntp.nict.jp'])
    const certbot = cloud.services.find((service) => service.name === 'certbot')
    assert.equal('CERTBOT_EMAIL' in (certbot?.environment ?? {}), false)
  })

  test('uses one generated password everywhere, masked when shown', async () => {
    const site = await loadSite({ root, stage: 'staging' })
    const powerdns = site.services.find((service) => service.name === 'powerdns')
    const password = powerdns?.environment['MYSQL_PASSWORD'] ?? ''
    assert.match(password, /^[A-Za-z0-9]{15}$/)
    assert.ok(powerdns?.command?.includes(`--api-key=${password}`))
    assert.match(site.registry.password, /^[A-Za-z0-9]{32}$/)
    for (const secret of [password, site.registry.password]) {
      assert.equal(JSON.stringify(inventoryJson(site)).includes(secret), false)
      assert.equal(inventoryText(site).includes(secret), false)
    }
    assert.equal(inventoryJson(site, { showSecrets: true }).services[0]?.environment['MYSQL_PASSWORD'], password)
    assert.equal(inventoryJson(site).services[0]?.environment['MYSQL_HOST'], 'pdnsdb')
  })

  test('writes nothing unless told to, then passwords and allocations, which stay', async (context) => {
    const copy = mkdtempSync(join(tmpdir(), 'hive-inventory-'))
    context.after(() => rmSync(copy, { recursive: true, force: true }))
    cpSync(root, copy, { recursive: true })
    const shown = await loadSite({ root: copy, stage: 'staging' })
    assert.equal(existsSync(join(copy, '.hive')), false)
    const deployed = await loadSite({ root: copy, stage: 'staging', createPasswords: true, persist: true })
    assert.equal(deployed.registry.password, shown.registry.password)
    assert.deepEqual(readdirSync(join(copy, '.hive')).sort(), ['persistents.yml', 'staging'])
    const again = await loadSite({ root: copy, stage: 'staging' })
    assert.deepEqual(inventoryJson(again, { showSecrets: true }), inventoryJson(deployed, { showSecrets: true }))
  })

  test('a stage whose registry has the password of other things keeps it until its registry is set up anew', async (context) => {
    const copy = mkdtempSync(join(tmpdir(), 'hive-inventory-'))
    context.after(() => rmSync(copy, { recursive: true, force: true }))
    cpSync(root, copy, { recursive: true })
    mkdirSync(join(copy, '.hive/staging'), { recursive: true })
    writeFileSync(join(copy, '.hive/staging/registry_password'), 'fromBefore12345\n')
    const read = async (more = {}): Promise<string> => (await loadSite({ root: copy, stage: 'staging', ...more })).registry.password
    assert.equal(await read({ createPasswords: true }), 'fromBefore12345')
    const own = await read({ createPasswords: true, setsUpRegistry: true })
    assert.match(own, /^[A-Za-z0-9]{32}$/)
    assert.deepEqual([await read(), await read({ setsUpRegistry: true })], [own, own])
    assert.equal(readFileSync(join(copy, '.hive/staging/registry_password'), 'utf8'), 'fromBefore12345\n')
  })

  test('falls back from vagrant to nspawn and says so', async () => {
    const site = await loadSite({ root })
    assert.equal(site.stage, 'private')
    assert.equal(site.provider, 'vagrant')
    assert.equal(site.effectiveProvider, 'nspawn')
    assert.ok(site.notices.some((notice) => notice.includes('vagrant')))
  })

  test('hands all groups and variables to Ansible', async () => {
    const inventory = (await loadSite({ root, stage: 'staging' })).ansibleInventory()
    assert.deepEqual(inventory.groups['repository'], ['p-hive0.pdns', 's-hive3.pdns', 'hive3.pdns'])
    assert.ok(inventory.groups['staging']?.includes('image_certbot'))
    assert.equal(inventory.groups['private']?.includes('image_certbot'), false)
    assert.deepEqual(inventory.hostVariables['configure']?.['hive_labels'], { HIVE_MARK: 'proxy_config' })
    assert.equal(inventory.hostVariables['powerdns']?.['domain'], 'example.com')
    assert.equal(inventory.hostVariables['configure']?.['hive_registry'], 's-hive3.pdns:5000')
    assert.equal('hive_ntp_servers' in (inventory.hostVariables['s-hive0.pdns'] ?? {}), false)
    assert.equal(inventory.extraVariables['hive_stage'], 'staging')
  })
})

describe('internal_cidr', () => {
  const split = (text: string): ReturnType<typeof splitInternal> => {
    const parsed = parseNetwork4(text)
    assert.ok(parsed.ok)
    assert.equal(formatNetwork4(parsed.value), text)
    return splitInternal(parsed.value)
  }

  test('is split as hive-builder splits it', () => {
    assert.deepEqual(split('172.31.252.0/22'), {
      defaultNetwork: '172.31.252.0/24',
      ingress: { subnet: '172.31.253.0/24', gateway: '172.31.253.1' },
      gwbridge: '172.31.254.0/25',
      bridgeAddress: '172.31.254.129/25',
      registry: '172.31.255.0/25',
      zabbix: { subnet: '172.31.255.128/25', bridge: '172.31.255.129', server: '172.31.255.130', web: '172.31.255.131', database: '172.31.255.132' },
    })
    assert.deepEqual(split('10.254.0.0/16'), {
      defaultNetwork: '10.254.0.0/18',
      ingress: { subnet: '10.254.64.0/18', gateway: '10.254.64.1' },
      gwbridge: '10.254.128.0/19',
      bridgeAddress: '10.254.160.1/19',
      registry: '10.254.192.0/19',
      zabbix: { subnet: '10.254.224.0/19', bridge: '10.254.224.1', server: '10.254.224.2', web: '10.254.224.3', database: '10.254.224.4' },
    })
    assert.equal(split('172.21.32.0/22').zabbix.subnet, '172.21.35.128/25')
    assert.equal(split('172.21.32.0/22').bridgeAddress, '172.21.34.129/25')
  })
})
