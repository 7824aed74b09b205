import type { ServiceDefinition } from './definitions.ts'
import type { Findings } from './problems.ts'
import type { StageName } from './site.ts'
import { largestDeviceId } from './volume-definition.ts'

export type NumberMap = Readonly<Record<string, number>>

export interface Allocations {
  /** Volume name → DRBD minor; the port is 7000 more. */
  readonly devices: NumberMap
  /** Service name and target port, written together → published port. */
  readonly ports: NumberMap
}

const firstAutomaticPort = 61001
const lastAutomaticPort = 65534

const lowestFree = (taken: ReadonlySet<number>, first: number, last: number): number | undefined => {
  for (let number = first; number <= last; number++) if (!taken.has(number)) return number
  return undefined
}

/** The key a published port is remembered under. */
export const portKey = (service: string, target: number): string => `${service}${target}`

/**
 * Gives every mirrored volume a device id and every port a published one:
 * what is remembered stays, what is written counts, all else gets the lowest free number in the order of the files.
 * Numbers of volumes and ports that are gone stay taken. The same input gives the same answer.
 */
export const allocate = (services: readonly ServiceDefinition[], remembered: Allocations, stage: StageName, findings: Findings): Allocations => ({
  devices: allocateDevices(services, remembered.devices, stage, findings),
  ports: allocatePorts(services, remembered.ports, findings),
})

const allocateDevices = (services: readonly ServiceDefinition[], remembered: NumberMap, stage: StageName, findings: Findings): NumberMap => {
  const devices: Record<string, number> = { ...remembered }
  const uses = services.flatMap((service) => service.volumes.filter((use) => use.definition?.kind === 'drbd').map((use) => ({ use, service })))
  const explicit = new Map<string, number>()
  const owners = new Map<number, string>(Object.entries(remembered).map(([volume, id]) => [id, volume]))
  for (const { use } of uses) {
    const id = use.definition?.kind === 'drbd' ? use.definition.deviceId : undefined
    if (id === undefined) continue
    const owner = owners.get(id)
    const before = explicit.get(use.source)
    if (before !== undefined && before !== id) {
      findings.problem(
        use.at,
        `${use.path}.drbd.device_id`,
        `the volume '${use.source}' has the device id ${before} elsewhere`,
        `write ${before} in both places`,
      )
    } else if (owner !== undefined && owner !== use.source) {
      const old = remembered[owner] === id && !uses.some((other) => other.use.source === owner)
      findings.problem(
        use.at,
        `${use.path}.drbd.device_id`,
        `the device id ${id} belongs to the volume '${owner}'`,
        old
          ? `use another one, or remove ${owner} from drbd_device_map of ${stage} in .hive/persistents.yml when its disks are gone`
          : 'use another one, or leave it out',
      )
    } else {
      explicit.set(use.source, id)
      owners.set(id, use.source)
      devices[use.source] = id
    }
  }
  const taken = new Set([...Object.values(devices), ...Object.values(remembered)])
  for (const { use } of uses) {
    if (Object.hasOwn(devices, use.source)) continue
    const id = lowestFree(taken, 1, largestDeviceId)
    if (id === undefined) {
      findings.problem(
        use.at,
        use.path,
        `all ${largestDeviceId} device ids are taken`,
        'remove volumes that are gone from drbd_device_map in .hive/persistents.yml',
      )
      break
    }
    devices[use.source] = id
    taken.add(id)
  }
  return devices
}

const allocatePorts = (services: readonly ServiceDefinition[], remembered: NumberMap, findings: Findings): NumberMap => {
  const ports: Record<string, number> = { ...remembered }
  const all = services.flatMap((service) => service.ports.map((port) => ({ port, key: portKey(service.name, port.target) })))
  for (const { port, key } of all) if (port.published !== undefined) ports[key] = port.published
  const taken = new Set([...Object.values(ports), ...Object.values(remembered), ...all.flatMap(({ port }) => port.published ?? [])])
  for (const { port, key } of all) {
    if (Object.hasOwn(ports, key)) continue
    const published = lowestFree(taken, firstAutomaticPort, lastAutomaticPort)
    if (published === undefined) {
      findings.problem(
        port.at,
        port.path,
        'all automatic ports are taken',
        'write published ports, or remove old ones from published_port_map in .hive/persistents.yml',
      )
      break
    }
    ports[key] = published
    taken.add(published)
  }
  return ports
}
