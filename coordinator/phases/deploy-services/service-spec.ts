/** From the inventory's service to the step's. */
import type { EnsureService, LogDriver, Mount, ServiceFile as StepFile } from '#gen/hive/v1/steps_docker.ts'
import type { Service, ServiceFile, Site } from '../../inventory/site.ts'
import { authFor } from './images.ts'

/** How long a service's tasks may take to run, seconds. */
export const convergeSeconds = 300

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
    ...(service.update === undefined ? {} : { updatePolicy: { ...service.update } }),
    ...(service.rollback === undefined ? {} : { rollbackPolicy: { ...service.rollback } }),
    secrets: service.secrets.map(toServiceFile),
    configs: service.configs.map(toServiceFile),
    cpuReservation: service.cpuReservation ?? 0,
    memoryReservationBytes: service.memoryReservationBytes ?? 0n,
    ...(auth === undefined ? {} : { auth }),
    convergeSeconds: patience,
    absent: false,
  }
}

const toServiceFile = (file: ServiceFile): StepFile => ({ ...file, content: Buffer.from(file.content) })

function mountsOf(service: Service): Mount[] {
  const own = service.mounts.map((mount) => toMount(mount.type, mount.source, mount.target, mount.readOnly))
  if (!service.standalone) return own
  return [...standalone.mounts.filter((target) => !own.some((mount) => mount.target === target)).map((target) => toMount('tmpfs', '', target, false)), ...own]
}

const toMount = (type: string, source: string, target: string, readOnly: boolean): Mount => ({ type, source, target, readOnly, driver: '', driverOptions: {} })

/**
 * To the host itself, by UDP on loopback: that keeps no container waiting, whatever is down. From there logs go on to the repository server,
 * see setup-hosts/log-collection.ts.
 */
function defaultLogging(service: Service, site: Site): LogDriver | undefined {
  if (!site.hosts.some((host) => host.isRepository)) return undefined
  return { driver: 'syslog', options: { 'syslog-address': `udp://127.0.0.1:${site.logs.port}`, 'syslog-facility': 'local0', tag: service.name } }
}
