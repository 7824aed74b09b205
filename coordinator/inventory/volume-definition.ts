import { readStages } from './available-on.ts'
import { describe, isMapping, isTemplateText, type Mapping } from './mapping.ts'
import type { Findings, Position } from './problems.ts'
import type { StageName } from './site.ts'
import { didYouMean } from './suggest.ts'
import { joined, keyAt, startOf, valueAt } from './yaml-source.ts'

/** One entry of a service's `volumes`: the mount, and what it says of the volume itself. */
export interface VolumeUse {
  readonly source: string
  readonly mount: Mapping
  readonly definition:
    | { readonly kind: 'drbd' | 'nfs'; readonly source: Mapping; readonly stages: readonly StageName[]; readonly deviceId: number | undefined }
    | { readonly kind: 'driver'; readonly source: Mapping; readonly stages: readonly StageName[] }
    | undefined
  readonly at: Position
  readonly path: string
}

const volumeNames = ['source', 'target', 'type', 'readonly', 'driver', 'driver_opts', 'drbd', 'nfs'] as const
export type VolumeKey = (typeof volumeNames)[number]
const volumeKeys: readonly string[] = volumeNames
const drbdNames = ['fstype', 'size', 'diskless', 'available_on', 'device_id', 'vgname'] as const
export type DrbdKey = (typeof drbdNames)[number]
const drbdKeys: readonly string[] = drbdNames
const mountKeys = ['source', 'target', 'type', 'readonly']
export const largestDeviceId = 255

/** `volumes` of a service. Entries that make no sense are reported and left out. */
export const readVolumes = (service: Mapping, servicePath: string, stages: readonly StageName[], findings: Findings): readonly VolumeUse[] => {
  const list = service['volumes']
  const path = joined(servicePath, 'volumes')
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) {
    findings.problem(
      valueAt(service, 'volumes'),
      path,
      `must be a list, but is ${describe(list)}`,
      'write one entry a volume: - {source: …, target: …, type: volume}',
    )
    return []
  }
  return list.flatMap((item: unknown, index) => {
    const itemPath = `${path}[${index}]`
    if (isMapping(item)) return readVolume(item, itemPath, stages, findings)
    findings.problem(valueAt(list, index), itemPath, `a volume must be a mapping, but is ${describe(item)}`, longSyntax(item))
    return []
  })
}

const longSyntax = (item: unknown): string => {
  const [source, target, flag] = typeof item === 'string' ? item.split(':') : []
  if (source === undefined || target === undefined) return 'write {source: …, target: …, type: volume}'
  const type = source.startsWith('/') ? 'bind' : 'volume'
  return `write {source: ${source}, target: ${target}, type: ${type}${flag === 'ro' ? ', readonly: True' : ''}}`
}

const readVolume = (item: Mapping, path: string, stages: readonly StageName[], findings: Findings): readonly VolumeUse[] => {
  for (const key of Object.keys(item)) {
    if (key === 'driver_options') findings.problem(keyAt(item, key), joined(path, key), `unknown volume key '${key}'`, 'write driver_opts:')
    else if (!volumeKeys.includes(key)) findings.problem(keyAt(item, key), joined(path, key), `unknown volume key '${key}'`, didYouMean(key, volumeKeys))
  }
  const tmpfs = item['type'] === 'tmpfs'
  for (const key of ['source', 'target']) {
    if (item[key] === undefined || item[key] === null) {
      if (key === 'source' && tmpfs) continue
      const instead = key === 'source' ? 'add source: the volume name or the path on the host' : 'add target: the path in the container'
      findings.problem(startOf(item), path, `the key '${key}' is missing`, instead)
    }
  }
  const target = item['target']
  if (typeof target === 'string') checkTarget(item, target, path, findings)
  if (item['source'] === undefined && !tmpfs) return []
  const kinds = ['driver', 'drbd', 'nfs'].filter((key) => key in item)
  if (kinds.length > 1) {
    findings.problem(keyAt(item, kinds[1] ?? ''), path, `'${kinds[0]}' and '${kinds[1]}' exclude each other`, 'keep one of them')
  }
  if ('driver_opts' in item && !('driver' in item)) {
    findings.problem(keyAt(item, 'driver_opts'), joined(path, 'driver_opts'), "'driver_opts' needs 'driver'", 'add driver: local')
  }
  const source = item['source'] === undefined || item['source'] === null ? '' : String(item['source'])
  const mount = Object.fromEntries(mountKeys.filter((key) => key in item).map((key) => [key, item[key]]))
  return [{ source, mount, definition: definitionOf(item, path, stages, findings), at: startOf(item), path }]
}

const checkTarget = (item: Mapping, target: string, path: string, findings: Findings): void => {
  const flag = /^(.+):(ro|rw|z|Z)$/.exec(target)
  if (flag !== null) {
    findings.problem(
      valueAt(item, 'target'),
      `${path}.target`,
      `':${flag[2]}' is not a part of the path`,
      `write target: ${flag[1]}${flag[2] === 'ro' ? ' and readonly: True' : ''}`,
    )
  } else if (!target.startsWith('/') && !isTemplateText(target)) {
    findings.problem(valueAt(item, 'target'), `${path}.target`, `'${target}' is not an absolute path`, `write /${target.replace(/^[./]+/, '')}`)
  }
}

const definitionOf = (item: Mapping, path: string, stages: readonly StageName[], findings: Findings): VolumeUse['definition'] => {
  if ('drbd' in item) return drbdOf(item, path, stages, findings)
  if ('nfs' in item) {
    const nfs = item['nfs'] ?? {}
    if (!isMapping(nfs)) {
      findings.problem(valueAt(item, 'nfs'), `${path}.nfs`, `must be a mapping, but is ${describe(nfs)}`, 'write nfs: {}')
      return undefined
    }
    for (const key of Object.keys(nfs)) {
      if (!['size', 'available_on'].includes(key))
        findings.problem(keyAt(nfs, key), `${path}.nfs.${key}`, `unknown nfs key '${key}'`, didYouMean(key, ['size', 'available_on']))
    }
    return { kind: 'nfs', source: nfs, stages: readStages(nfs, `${path}.nfs`, findings) ?? stages, deviceId: undefined }
  }
  return 'driver' in item ? { kind: 'driver', source: item, stages } : undefined
}

const drbdOf = (item: Mapping, path: string, stages: readonly StageName[], findings: Findings): VolumeUse['definition'] => {
  const drbd = item['drbd']
  const drbdPath = `${path}.drbd`
  if (!isMapping(drbd)) {
    findings.problem(valueAt(item, 'drbd'), drbdPath, `must be a mapping, but is ${describe(drbd)}`, 'write drbd: {fstype: xfs, size: 1G}')
    return undefined
  }
  for (const key of Object.keys(drbd)) {
    if (!drbdKeys.includes(key)) findings.problem(keyAt(drbd, key), joined(drbdPath, key), `unknown drbd key '${key}'`, didYouMean(key, drbdKeys))
  }
  for (const key of ['fstype', 'size']) {
    if (drbd[key] === undefined || drbd[key] === null) {
      findings.problem(startOf(drbd), drbdPath, `the key '${key}' is missing`, key === 'size' ? 'add size: 1G' : 'add fstype: xfs or ext4')
    }
  }
  const written = drbd['device_id']
  const id = typeof written === 'string' && /^\d+$/.test(written) ? Number(written) : written
  const legal = typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= largestDeviceId
  if (written !== undefined && written !== null && !legal) {
    findings.problem(
      valueAt(drbd, 'device_id'),
      `${drbdPath}.device_id`,
      `${describe(written)} is no device id`,
      `write a number from 1 to ${largestDeviceId}, or leave it out`,
    )
  }
  if (item['type'] !== undefined && item['type'] !== 'volume' && !isTemplateText(item['type'])) {
    findings.problem(valueAt(item, 'type'), `${path}.type`, `a mirrored volume is no ${describe(item['type'])}`, 'write type: volume')
  }
  return { kind: 'drbd', source: drbd, stages: readStages(drbd, drbdPath, findings) ?? stages, deviceId: legal ? id : undefined }
}
