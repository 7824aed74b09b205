/** A second registry beside the site's own, which keeps what hosts pull from elsewhere: hive_registry_cache. */
import { stringify } from 'yaml'
import { Disruption, type Step } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import { archivedImage, siteArchives } from '../../ansible/archives.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { file } from './file.ts'
import { hostStep } from './host-step.ts'

const config = '/etc/docker/registry-cache/config.yml'
const storage = '/var/lib/docker-registry-cache'
/** The site's registry has them from the host (agent/adapters/registry-config.ts). */
const tls = '/etc/docker/registry/tls'
const unit = 'hive-registry-cache.service'
const unitFile = `/etc/systemd/system/${unit}`

/** It takes no pushes, asks for no password, and drops what nobody pulled for a week. */
export const renderCacheConfig = (port: number, url: string): string =>
  stringify({
    version: 0.1,
    log: { fields: { service: 'registry-cache' } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true }, cache: { blobdescriptor: 'inmemory' } },
    http: { addr: `:${port}`, tls: { certificate: `${tls}/cert.pem`, key: `${tls}/key.pem` } },
    proxy: { remoteurl: url },
  })

const byPackage = `[Unit]
Description=Registry that keeps what hosts pull from elsewhere
After=network-online.target
Wants=network-online.target

[Service]
User=docker-registry
StateDirectory=docker-registry-cache
EnvironmentFile=-/etc/environment
ExecStart=/usr/bin/docker-registry serve ${config}
Restart=always
RestartSec=15

[Install]
WantedBy=multi-user.target
`

/** Where hosts have the CAs that they trust, by their package system: an image of one's own may have none. */
const trusted = { apt: '/etc/ssl/certs/ca-certificates.crt', dnf: '/etc/pki/tls/certs/ca-bundle.crt' } as const

const inContainer = (image: string, system: keyof typeof trusted): string => `[Unit]
Description=Registry that keeps what hosts pull from elsewhere
After=docker.service
Requires=docker.service

[Service]
EnvironmentFile=-/etc/environment
ExecStartPre=-/usr/bin/docker rm -f hive-registry-cache
ExecStart=/usr/bin/docker run --rm --name hive-registry-cache --network host --security-opt label=disable --env http_proxy --env https_proxy --env no_proxy --volume /etc/docker:/etc/docker:ro --volume ${storage}:${storage} --volume ${trusted[system]}:/etc/ssl/certs/ca-certificates.crt:ro --entrypoint registry ${image} serve ${config}
ExecStop=-/usr/bin/docker stop hive-registry-cache
Restart=always
RestartSec=15

[Install]
WantedBy=multi-user.target
`

/** After the site's registry, whose program or image, and whose certificate, it has. */
export async function registryCache(site: Site, host: Host): Promise<readonly Step[]> {
  const { cache, image } = site.registry
  // One that was there is not asked any more; what it keeps stays until somebody deletes it.
  const unwanted = { name: unit, aliases: [], enabled: false, state: UnitState.STOPPED, watchFiles: [], reload: false, optional: true }
  if (cache === undefined) return [hostStep(host, 'registry-cache', 'no cache of other registries', 'ensureUnit', unwanted, { after: ['registry'] })]
  const shipped = archivedImage(await siteArchives(site), image)
  const program = shipped === undefined ? image : `hive-registry:${shipped.contentTag}`
  const units = [
    { ...file(unitFile, site.registry.inContainer ? inContainer(program, 'apt') : byPackage), system: 'apt' },
    { ...file(unitFile, inContainer(program, 'dnf')), system: 'dnf' },
  ]
  const value = {
    name: unit,
    aliases: [],
    enabled: true,
    state: UnitState.STARTED,
    watchFiles: [unitFile, config, `${tls}/cert.pem`, `${tls}/key.pem`],
    reload: false,
    optional: false,
  }
  return [
    hostStep(host, 'registry-cache-config', 'configuration of the registry’s cache', 'ensureFiles', {
      files: [file(config, renderCacheConfig(cache.port, cache.url)), ...units],
    }),
    hostStep(host, 'registry-cache', `cache of ${cache.url} on port ${cache.port}`, 'ensureUnit', value, {
      after: ['registry', 'registry-cache-config'],
      disruption: Disruption.RESTART,
    }),
  ]
}
