/** From the inventory's service to the step's. */
import type { EnsureService, LogDriver, Mount } from '#gen/hive/v1/steps_docker.ts'
import type { Service, Site } from '../../inventory/site.ts'
import { authFor } from './images.ts'

/** How long a service's tasks may take to run, seconds. */
export const convergeSeconds = 300

const defaultSyslogPort = 10514

/** What a container whose first process is an init system needs. */
const standalone = {
  mounts: ['/run', '/tmp', '/sys/fs/cgroup'],
  capabilities: ['NET_ADMIN', 'SYS_ADMIN', 'SYSLOG', 'SYS_PTRACE', 'AUDIT_CONTROL'],
  command: ['sh', '-c', 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /sbin/init'],
}

/** `patience`: seconds that the service's tasks get to run; 0: nobody waits for them. */
export function toEnsureService(service: Service, reference: string, site: Site, patience = convergeSeconds, digest = ''): EnsureService {
  const logging = service.logging ?? defaultLogging(service, site)
  const auth = authFor(reference, site)
  return {
    name: service.name,
    image: reference,
    imageDigest: digest,
    command: [...(service.entrypoint ?? [])],
    args: [...(service.command ?? (service.standalone ? standalone.command : []))],
    environment: { ...service.environment },
    dns: [...service.dns],
    hosts: { ...Object.fromEntries(site.hosts.map((host) => [host.name, host.address])), ...service.hosts },
    endpointMode: service.endpointMode,
    mode: service.mode,
    ...(service.replicas === undefined ? {} : { replicas: service.replicas }),
    constraints: [...service.constraints],
    preferences: [...service.preferences],
    ports: service.ports.map((port) => ({ target: port.target, published: port.published, protocol: port.protocol, mode: port.mode })),
    mounts: mountsOf(service),
    networks: [...service.networks],
    labels: { HIVE_STANDALONE: service.standalone ? 'True' : 'False', ...service.labels },
    ...(logging === undefined ? {} : { logging }),
    ...(service.healthcheck === undefined ? {} : { healthcheck: { ...service.healthcheck, test: [...service.healthcheck.test] } }),
    ...(service.restart === undefined
      ? {}
      : {
          restartPolicy: {
            condition: service.restart.condition,
            ...(service.restart.delayNs === undefined ? {} : { delayNs: service.restart.delayNs }),
            ...(service.restart.maxAttempts === undefined ? {} : { maxAttempts: service.restart.maxAttempts }),
            ...(service.restart.windowNs === undefined ? {} : { windowNs: service.restart.windowNs }),
          },
        }),
    ...(service.stopGracePeriodNs === undefined ? {} : { stopGracePeriodNs: service.stopGracePeriodNs }),
    user: service.user ?? '',
    workingDir: service.workingDir ?? '',
    capAdd: [...new Set([...(service.standalone ? standalone.capabilities : []), ...service.capAdd])],
    capDrop: [...service.capDrop],
    sysctls: { ...service.sysctls },
    cpuLimit: service.cpuLimit ?? 0,
    memoryLimitBytes: service.memoryLimitBytes ?? 0n,
    ...(auth === undefined ? {} : { auth }),
    convergeSeconds: patience,
    absent: false,
  }
}

function mountsOf(service: Service): Mount[] {
  const own = service.mounts.map((mount) => toMount(mount.type, mount.source, mount.target, mount.readOnly))
  if (!service.standalone) return own
  return [...standalone.mounts.filter((target) => !own.some((mount) => mount.target === target)).map((target) => toMount('tmpfs', '', target, false)), ...own]
}

const toMount = (type: string, source: string, target: string, readOnly: boolean): Mount => ({ type, source, target, readOnly, driver: '', driverOptions: {} })

/**
 * Logs go to the repository server by syslog. By address, since docker resolves the name each time a container starts,
 * and by UDP, which keeps nobody waiting when that server is down.
 */
function defaultLogging(service: Service, site: Site): LogDriver | undefined {
  const repository = site.hosts.find((host) => host.isRepository)
  if (repository === undefined) return undefined
  const port = Number(site.variable(repository.name, 'hive_syslog_port') ?? defaultSyslogPort)
  return { driver: 'syslog', options: { 'syslog-address': `udp://${repository.address}:${port}`, 'syslog-facility': 'local0', tag: service.name } }
}
