/** Zabbix on the repository server: its containers, and what it is to hold. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { ContainerImage, EnsureContainer, ZabbixHost } from '#gen/hive/v1/steps_repository.ts'
import { templates } from '../../../proto/monitoring/catalogue.ts'
import { zabbixContainers, zabbixDatabaseBackup, zabbixVolume } from '../../../proto/monitoring/zabbix-database.ts'
import { archiveBlob, archivedImage, siteArchives } from '../../ansible/archives.ts'
import { passivePort } from '../../inventory/monitoring-settings.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { hivesGroup, repositoryGroup, siteGroup, swarmHostName } from '../../zabbix/names.ts'
import { renderTemplates } from '../../zabbix/render-template.ts'
import { zabbixHere } from '../../zabbix/zabbix-here.ts'
import { authFor } from '../deploy-services/images.ts'
import type { Blob } from '../phase.ts'
import { hostStep, idOf } from './host-step.ts'

export interface ZabbixSteps {
  readonly steps: readonly Step[]
  readonly blobs: readonly Blob[]
  readonly notices: readonly string[]
}

const nothing = { steps: [], blobs: [] }

/** After docker, which runs it. Throws as siteArchives does. */
export async function zabbix(site: Site, host: Host): Promise<ZabbixSteps> {
  const here = await zabbixHere(site)
  if (!here.runs) return { ...nothing, notices: here.notice === undefined ? [] : [here.notice] }
  const archives = await siteArchives(site)
  const { images } = site.zabbix
  const blobs: Blob[] = []
  const imageOf = (reference: string): ContainerImage => {
    const shipped = archivedImage(archives, reference)
    const archive = shipped === undefined ? undefined : archives.find(({ references }) => references.includes(shipped))
    if (archive !== undefined) blobs.push(archiveBlob(archive))
    return {
      // A name of its own for each content: another archive is another image, and is seen as a change.
      reference: shipped === undefined ? reference : `hive-zabbix-image:${shipped.contentTag}`,
      auth: authFor(reference, site),
      blobSha256: archive?.sha256 ?? '',
      rootFilesystem: archive?.rootFilesystem ?? false,
      sourceReference: shipped?.name ?? '',
    }
  }
  const part = (what: string, title: string, value: EnsureContainer, needs: readonly string[]): Step =>
    hostStep(host, what, title, 'ensureContainer', value, {
      after: ['packages', 'addon', 'docker', 'docker-config', ...needs],
      disruption: Disruption.RESTART,
      timeoutSeconds: 1800,
    })
  const steps = [
    part('zabbix-db', `Zabbix: its database (${images.database})`, databaseContainer(site, imageOf(images.db)), []),
    hostStep(host, 'zabbix-history', 'Zabbix: the values of the last backup, where it was made anew', 'ensureHistory', historyOf(site), {
      after: ['zabbix-db', 'backups', 'backup-files'],
      timeoutSeconds: 4 * 3600,
    }),
    part('zabbix-server', `Zabbix: the server on port ${site.zabbix.serverPort}`, serverContainer(site, host, imageOf(images.server)), [
      'zabbix-db',
      'zabbix-history',
    ]),
    part('zabbix-web', `Zabbix: the web UI on port ${site.zabbix.webPort} of the host itself`, webContainer(site, imageOf(images.web)), [
      'zabbix-db',
      'zabbix-history',
    ]),
    hostStep(host, 'zabbix', 'Zabbix: hosts, templates, alerts', 'ensureZabbix', contentOf(site), {
      needs: ['zabbix-db', 'zabbix-server', 'zabbix-web'].map((what) => idOf(what, host)),
      timeoutSeconds: 900,
    }),
  ]
  return { steps, blobs: [...new Map(blobs.map((blob) => [blob.sha256, blob])).values()], notices: [] }
}

function historyOf(site: Site) {
  const { container, holding } = zabbixDatabaseBackup(site.zabbix.images.database)
  return { backup: 'hive-zabbix', container, holding: [...holding] }
}

type Place = 'server' | 'web' | 'database'

const network = (site: Site, place: Place): EnsureContainer['network'] => {
  const plan = site.dockerNetworks.zabbix
  return { name: 'hive-zabbix', subnet: plan?.subnet ?? '', gateway: plan?.bridge ?? '', address: plan?.[place] ?? '', aliases: [`zabbix-${place}`] }
}

const variables = (values: Readonly<Record<string, string>>) => Object.entries(values).map(([name, value]) => ({ name, value }))

const container = (site: Site, place: Place, image: ContainerImage): EnsureContainer => ({
  name: zabbixContainers[place],
  image,
  variables: [],
  volumes: [],
  ports: [],
  network: network(site, place),
  command: site.zabbix.images.inOne ? ['zabbix-part', place] : [],
  restart: 'unless-stopped',
  stopSeconds: 60,
  readyCommand: [],
  readySeconds: 300,
  memoryBytes: 0n,
})

const name = 'zabbix'

/** What server and web UI need to find their database. */
const databaseAccess = ({ zabbix: { images, databasePassword } }: Site): Readonly<Record<string, string>> =>
  images.database === 'postgresql'
    ? { DB_SERVER_HOST: 'zabbix-database', POSTGRES_USER: name, POSTGRES_PASSWORD: databasePassword, POSTGRES_DB: name }
    : { DB_SERVER_HOST: 'zabbix-database', MYSQL_USER: name, MYSQL_PASSWORD: databasePassword, MYSQL_DATABASE: name }

function databaseContainer(site: Site, image: ContainerImage): EnsureContainer {
  const { images, databasePassword } = site.zabbix
  const common = container(site, 'database', image)
  if (images.database === 'postgresql')
    return {
      ...common,
      variables: variables({ POSTGRES_USER: name, POSTGRES_PASSWORD: databasePassword, POSTGRES_DB: name }),
      volumes: [{ source: zabbixVolume, target: '/var/lib/postgresql/data', readOnly: false }],
      // Over the network: while it makes itself, it listens on its socket only.
      readyCommand: ['pg_isready', '-q', '-h', '127.0.0.1', '-U', name],
    }
  return {
    ...common,
    variables: variables({ MYSQL_USER: name, MYSQL_PASSWORD: databasePassword, MYSQL_DATABASE: name, MYSQL_RANDOM_ROOT_PASSWORD: 'yes' }),
    volumes: [{ source: zabbixVolume, target: '/var/lib/mysql', readOnly: false }],
    command: ['--character-set-server=utf8mb4', '--collation-server=utf8mb4_bin', '--log-bin-trust-function-creators=1'],
    readyCommand: ['sh', '-c', 'MYSQL_PWD="$MYSQL_PASSWORD" exec $(command -v mariadb-admin || command -v mysqladmin) -h 127.0.0.1 -u "$MYSQL_USER" ping'],
  }
}

const serverContainer = (site: Site, host: Host, image: ContainerImage): EnsureContainer => ({
  ...container(site, 'server', image),
  variables: variables({ ...databaseAccess(site), ZBX_VALUECACHESIZE: '64M' }),
  // The site's own network, and the host itself, whose agent need not know its address.
  ports: [host.address, '127.0.0.1'].map((address) => ({ address, published: site.zabbix.serverPort, target: 10_051, protocol: 'tcp' })),
})

const webContainer = (site: Site, image: ContainerImage): EnsureContainer => ({
  ...container(site, 'web', image),
  variables: variables({
    ...databaseAccess(site),
    ZBX_SERVER_HOST: 'zabbix-server',
    ZBX_SERVER_NAME: `${site.name} ${site.stage}`,
    PHP_TZ: site.hosts.find(({ isRepository }) => isRepository)?.settings.timezone ?? 'Etc/GMT',
  }),
  ports: [{ address: '127.0.0.1', published: site.zabbix.webPort, target: 8080, protocol: 'tcp' }],
})

const templatesOf = (host: Host): string[] => ['Hive Linux', ...(host.isHive ? ['Hive Server'] : []), ...(host.isRepository ? ['Hive Repository Server'] : [])]

function contentOf(site: Site) {
  const { admin, webPort, media, macros, psk, sites } = site.zabbix
  const common = { visibleName: '', macros, pskIdentity: psk.identity, psk: psk.key }
  const ours = site.hosts.map(
    (host): ZabbixHost => ({
      ...common,
      name: host.name,
      address: host.address,
      port: passivePort,
      groups: [...(host.isHive ? [hivesGroup] : []), ...(host.isRepository ? [repositoryGroup] : []), siteGroup(site)],
      templates: templatesOf(host),
    }),
  )
  const elsewhere = sites.flatMap(({ name: other, servers }) =>
    servers.map(
      (server): ZabbixHost => ({
        ...common,
        name: server,
        address: '',
        port: 0,
        groups: [hivesGroup, siteGroup(site, other)],
        templates: ['Hive Linux', 'Hive Server'],
      }),
    ),
  )
  const swarms = sites.map(
    ({ name: other }): ZabbixHost => ({
      ...common,
      name: swarmHostName(site, other),
      address: '',
      port: 0,
      groups: [siteGroup(site, other)],
      templates: ['Hive Swarm'],
    }),
  )
  return {
    access: { port: webPort, user: admin.user, password: admin.password },
    site: `${site.name}-${site.stage}`,
    // The site's own group is the last one: rights and alerts go by it.
    hostGroups: [hivesGroup, repositoryGroup, ...sites.slice(1).map(({ name: other }) => siteGroup(site, other)), siteGroup(site)],
    templates: Buffer.from(renderTemplates(templates, site.monitoring.interval / 60)),
    hosts: [...ours, ...elsewhere, ...swarms],
    media: media.map((medium) => ({ ...medium, to: [...medium.to] })),
    switchedOff: ['Zabbix server'],
  }
}
