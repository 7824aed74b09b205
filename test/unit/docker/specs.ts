/** Specs as they were when test/fixtures/docker was recorded from docker 20.10, and helpers to read the recordings. */
import { readFileSync } from 'node:fs'
import { EnsureService, Healthcheck, LogDriver, Mount, Port, RestartPolicy } from '#gen/hive/v1/steps_docker.ts'
import type { Network, Node, Service, Task } from '../../../agent/adapters/docker/api-types.ts'

const recorded = <T>(name: string): T => JSON.parse(readFileSync(new URL(`../../fixtures/docker/${name}.json`, import.meta.url), 'utf8')) as T

export const services = recorded<readonly Service[]>('services')
export const networks = recorded<readonly Network[]>('networks')
export const nodes = recorded<readonly Node[]>('nodes')
export const tasks = recorded<readonly Task[]>('tasks-full')
export const networkNames = new Map(networks.map((network) => [network.Id, network.Name]))

export function serviceNamed(name: string): Service {
  const found = services.find((service) => service.Spec.Name === name)
  if (found === undefined) throw new Error(`no recording of ${name}`)
  return found
}

export const simple = (changes: Partial<EnsureService> = {}): EnsureService =>
  EnsureService.fromPartial({
    name: 'simple',
    image: 'tiny:1',
    endpointMode: 'dnsrr',
    mode: 'replicated',
    networks: ['hive_default_network'],
    labels: { HIVE_STANDALONE: 'False' },
    ...changes,
  })

/** Nearly everything that a service may ask for. */
export const full = (changes: Partial<EnsureService> = {}): EnsureService =>
  EnsureService.fromPartial({
    name: 'full',
    image: 'tiny:2',
    command: ['/bin/sh', '-c'],
    args: ['echo hello; exec sleep 1000'],
    environment: { N: '1', A: 'other' },
    dns: ['10.77.0.254'],
    hosts: { 's-hive0.pdns': '10.77.0.11', other: '10.77.0.12' },
    endpointMode: 'dnsrr',
    mode: 'replicated',
    replicas: 2,
    constraints: ['node.role != worker', 'node.labels.hives==true'],
    preferences: ['node.labels.zone'],
    ports: ['tcp', 'udp'].map((protocol) => Port.fromPartial({ target: 53, published: 5353, protocol, mode: 'host' })),
    mounts: [
      Mount.fromPartial({ type: 'tmpfs', target: '/run' }),
      Mount.fromPartial({ type: 'volume', source: 'v2', target: '/data' }),
      Mount.fromPartial({ type: 'bind', source: '/etc/hostname', target: '/hn', readOnly: true }),
    ],
    networks: ['hive_default_network', 'plain'],
    labels: { k: '{"a":1}', HIVE_STANDALONE: 'False' },
    logging: LogDriver.fromPartial({ driver: 'syslog', options: { tag: 'full', 'syslog-address': 'udp://10.77.0.254:10514', 'syslog-facility': 'local0' } }),
    healthcheck: Healthcheck.fromPartial({ test: ['CMD', 'true'], intervalNs: 2_000_000_000n, timeoutNs: 1_000_000_000n, retries: 2 }),
    restartPolicy: RestartPolicy.fromPartial({ condition: 'any', delayNs: 1_000_000_000n, maxAttempts: 0 }),
    stopGracePeriodNs: 2_000_000_000n,
    user: '0',
    workingDir: '/tmp',
    capAdd: ['NET_ADMIN'],
    capDrop: ['CHOWN'],
    sysctls: { 'net.ipv4.ip_forward': '1' },
    cpuLimit: 0.5,
    memoryLimitBytes: 67_108_864n,
    ...changes,
  })
