/** The measured content as a site's inventory. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Content, image, siteName, stopGraceSeconds, volumeDriver } from './content.ts'

/** Writes FOLDER/inventory/hive.yml: so many hive hosts and a repository server, as machines on this one. */
export function writeHive(folder: string, hosts: number): void {
  write(folder, 'hive.yml', {
    plugin: 'hive_inventory',
    name: siteName,
    stages: { private: { provider: 'nspawn', cidr: '10.90.0.0/24', internal_cidr: '172.31.252.0/22', number_of_hosts: hosts + 1 } },
  })
}

/** Writes FOLDER/inventory/services.yml. */
export function writeServices(folder: string, content: Content): void {
  const services = content.services.map(({ name, args, environment, network, volumes }) => [
    name,
    {
      image,
      command: args,
      environment,
      networks: [network],
      endpoint_mode: 'dnsrr',
      replicas: 1,
      stop_grace_period: `${stopGraceSeconds}s`,
      volumes: volumes.map((volume) => ({ ...volume, type: 'volume', ...volumeDriver })),
    },
  ])
  write(folder, 'services.yml', {
    plugin: 'hive_services',
    services: Object.fromEntries(services) as Record<string, unknown>,
    networks: Object.fromEntries(content.networks.filter((name) => name !== 'hive_default_network').map((name) => [name, {}])),
  })
}

function write(folder: string, name: string, value: unknown): void {
  mkdirSync(join(folder, 'inventory'), { recursive: true })
  writeFileSync(join(folder, 'inventory', name), stringify(value, { aliasDuplicateObjects: false }))
}
