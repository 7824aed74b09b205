/** From what the inventory asks for to docker's service spec. */
import type { EnsureService, Mount, UpdatePolicy } from '#gen/hive/v1/steps_docker.ts'
import type { HealthSpec, MountSpec, Resources, Service, ServiceSpec, UpdateConfig } from './api-types.ts'
import type { FoundFiles } from './service-files.ts'

const noFiles: FoundFiles = { secrets: [], configs: [] }

/** On containers: what the image's tag meant when they were made. The name of the image stays as the inventory writes it. */
export const imageDigestLabel = 'hive.image'

/**
 * Docker's spec of the service. Of an existing service, what is not ours to say is kept: the number of replicas where
 * none is asked for, how updates go, and the count of forced restarts. `files` are the objects that hold its secrets and configs.
 */
export function toServiceSpec(spec: EnsureService, existing?: Service, files: FoundFiles = noFiles): ServiceSpec {
  const replicas = spec.replicas ?? existing?.Spec.Mode?.Replicated?.Replicas ?? 1
  return {
    Name: spec.name,
    Labels: spec.labels,
    TaskTemplate: {
      ContainerSpec: {
        Image: spec.image,
        ...(spec.imageDigest === '' ? {} : { Labels: { [imageDigestLabel]: spec.imageDigest } }),
        ...list('Command', spec.command),
        ...list('Args', spec.args),
        Hostname: spec.name,
        ...list(
          'Env',
          Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
        ),
        ...(spec.workingDir === '' ? {} : { Dir: spec.workingDir }),
        ...(spec.user === '' ? {} : { User: spec.user }),
        ...list('Mounts', spec.mounts.map(toMount)),
        ...(spec.stopGracePeriodNs === undefined ? {} : { StopGracePeriod: Number(spec.stopGracePeriodNs) }),
        ...(spec.healthcheck === undefined ? {} : { Healthcheck: toHealthcheck(spec.healthcheck) }),
        ...list(
          'Hosts',
          Object.entries(spec.hosts).map(([name, address]) => `${address} ${name}`),
        ),
        ...(spec.dns.length === 0 ? {} : { DNSConfig: { Nameservers: spec.dns } }),
        ...(Object.keys(spec.sysctls).length === 0 ? {} : { Sysctls: spec.sysctls }),
        ...list('CapabilityAdd', spec.capAdd.map(capability)),
        ...list('CapabilityDrop', spec.capDrop.map(capability)),
        ...list('Secrets', files.secrets),
        ...list('Configs', files.configs),
      },
      Resources: {
        Limits: toResources(spec.cpuLimit, spec.memoryLimitBytes),
        ...(spec.cpuReservation === 0 && spec.memoryReservationBytes === 0n
          ? {}
          : { Reservations: toResources(spec.cpuReservation, spec.memoryReservationBytes) }),
      },
      ...(spec.restartPolicy === undefined
        ? {}
        : {
            RestartPolicy: {
              Condition: spec.restartPolicy.condition === '' ? 'any' : spec.restartPolicy.condition,
              ...(spec.restartPolicy.delayNs === undefined ? {} : { Delay: Number(spec.restartPolicy.delayNs) }),
              ...(spec.restartPolicy.maxAttempts === undefined ? {} : { MaxAttempts: spec.restartPolicy.maxAttempts }),
              ...(spec.restartPolicy.windowNs === undefined ? {} : { Window: Number(spec.restartPolicy.windowNs) }),
            },
          }),
      Placement: {
        ...list('Constraints', spec.constraints),
        ...list(
          'Preferences',
          spec.preferences.map((descriptor) => ({ Spread: { SpreadDescriptor: descriptor } })),
        ),
      },
      ...list(
        'Networks',
        spec.networks.map((name) => ({ Target: name })),
      ),
      ...(spec.logging === undefined ? {} : { LogDriver: { Name: spec.logging.driver, Options: spec.logging.options } }),
      ...(existing?.Spec.TaskTemplate.ForceUpdate === undefined ? {} : { ForceUpdate: existing.Spec.TaskTemplate.ForceUpdate }),
    },
    Mode: spec.mode === 'global' ? { Global: {} } : { Replicated: { Replicas: replicas } },
    EndpointSpec: {
      Mode: spec.endpointMode === '' ? 'vip' : spec.endpointMode,
      ...list(
        'Ports',
        spec.ports.map((port) => ({
          Protocol: port.protocol === '' ? 'tcp' : port.protocol,
          TargetPort: port.target,
          PublishedPort: port.published,
          PublishMode: port.mode === '' ? 'ingress' : port.mode,
        })),
      ),
    },
    ...policy('UpdateConfig', spec.updatePolicy, existing),
    ...policy('RollbackConfig', spec.rollbackPolicy, existing),
  }
}

const toResources = (cpus: number, bytes: bigint): Resources => ({
  ...(cpus === 0 ? {} : { NanoCPUs: Math.round(cpus * 1e9) }),
  ...(bytes === 0n ? {} : { MemoryBytes: Number(bytes) }),
})

function policy<K extends 'UpdateConfig' | 'RollbackConfig'>(
  key: K,
  wanted: UpdatePolicy | undefined,
  existing: Service | undefined,
): { [P in K]?: UpdateConfig } {
  const config = wanted === undefined ? existing?.Spec[key] : toUpdateConfig(wanted)
  return config === undefined || config === null ? {} : ({ [key]: config } as { [P in K]?: UpdateConfig })
}

const toUpdateConfig = (wanted: UpdatePolicy): UpdateConfig => ({
  Parallelism: wanted.parallelism,
  Delay: Number(wanted.delayNs),
  FailureAction: wanted.failureAction,
  Monitor: Number(wanted.monitorNs),
  MaxFailureRatio: wanted.maxFailureRatio,
  Order: wanted.order,
})

/** Docker leaves empty lists out; so does this. */
const list = <K extends string, T>(key: K, items: readonly T[]): { [P in K]?: readonly T[] } =>
  items.length === 0 ? {} : ({ [key]: items } as { [P in K]: readonly T[] })

function toMount(mount: Mount): MountSpec {
  const driver = mount.driver === '' && Object.keys(mount.driverOptions).length === 0 ? undefined : { Name: mount.driver, Options: mount.driverOptions }
  return {
    Type: mount.type === '' ? 'bind' : mount.type,
    ...(mount.source === '' ? {} : { Source: mount.source }),
    Target: mount.target,
    ...(mount.readOnly ? { ReadOnly: true } : {}),
    ...(driver === undefined ? {} : { VolumeOptions: { DriverConfig: driver } }),
  }
}

const toHealthcheck = (check: NonNullable<EnsureService['healthcheck']>): HealthSpec => ({
  Test: check.test,
  ...(check.intervalNs === 0n ? {} : { Interval: Number(check.intervalNs) }),
  ...(check.timeoutNs === 0n ? {} : { Timeout: Number(check.timeoutNs) }),
  ...(check.startPeriodNs === 0n ? {} : { StartPeriod: Number(check.startPeriodNs) }),
  ...(check.retries === 0 ? {} : { Retries: check.retries }),
})

/** NET_ADMIN and CAP_NET_ADMIN are the same; newer dockers echo the long form. */
export function capability(name: string): string {
  const upper = name.toUpperCase()
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`
}
