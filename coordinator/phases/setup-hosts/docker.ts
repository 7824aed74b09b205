/** dockerd: how it is configured, and that it runs so. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import type { Host, Site } from '../../inventory/site.ts'
import type { SetupHostsFacts } from './facts.ts'
import { file } from './file.ts'
import { hostStep } from './host-step.ts'

const daemonConfig = '/etc/docker/daemon.json'
const unitSettings = '/etc/systemd/system/docker.service.d/hive.conf'

/**
 * Without it dockerd asks the registry for an image at each start of a task although it has it, and a task that moves while the
 * registry is away waits for that answer.
 */
const preferOfflineImage = `[Service]
Environment=DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1
`

/** Before the packages, so that a new dockerd starts with it. The registry's CA is read at each pull, without a restart. */
export const dockerConfig = (site: Site, host: Host, facts: SetupHostsFacts): Step =>
  hostStep(host, 'docker-config', "docker's configuration", 'ensureFiles', {
    files: [
      file(daemonConfig, `${JSON.stringify(daemonOptions(site, host), null, 2)}\n`),
      file(unitSettings, preferOfflineImage),
      file(`/etc/docker/certs.d/${site.registry.host}:${site.registry.port}/ca.crt`, facts.caPem),
      ...(site.registry.cache === undefined ? [] : [file(`/etc/docker/certs.d/${site.registry.host}:${site.registry.cache.port}/ca.crt`, facts.caPem)]),
    ],
  })

/** No `hosts`: the local socket is the only way in. No live-restore: swarm does not go with it. */
function daemonOptions(site: Site, host: Host): Record<string, unknown> {
  const { bridgeAddress } = site.dockerNetworks
  const { host: server, cache } = site.registry
  // Asked in this order; without an answer from them docker asks the registry itself.
  const mirrors = [host.settings.registryMirror ?? [], cache === undefined ? [] : `https://${server}:${cache.port}`].flat()
  return {
    ...(bridgeAddress === undefined ? {} : { bip: bridgeAddress }),
    ...(mirrors.length === 0 ? {} : { 'registry-mirrors': mirrors }),
    'log-driver': 'json-file',
    'log-opts': { 'max-file': '3', 'max-size': '10m' },
  }
}

/** `before`: what must be done on other hosts first, so that not all dockerds of a swarm restart at once. */
export const docker = (host: Host, before: readonly string[]): Step =>
  hostStep(
    host,
    'docker',
    'docker runs with its configuration',
    'ensureUnit',
    {
      name: 'docker.service',
      aliases: [],
      enabled: true,
      state: UnitState.STARTED,
      watchFiles: [daemonConfig, unitSettings],
      reload: false,
      optional: false,
    },
    {
      after: ['packages', 'docker-config', 'hostname', 'hosts-file', 'kernel-settings', 'selinux', 'firewalld', 'addon'],
      needs: before,
      disruption: Disruption.RESTART,
    },
  )
