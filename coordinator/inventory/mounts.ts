import { type Converter, textOf } from './convert.ts'
import type { ServiceDefinition } from './definitions.ts'
import { describe, isMapping } from './mapping.ts'
import type { ServiceMount } from './site.ts'

const standaloneTmpfs = ['/run', '/tmp', '/sys/fs/cgroup']

/** `hive_volumes` as roles see it: what a standalone service needs, then its own. */
export const mountVariables = (definition: ServiceDefinition): readonly unknown[] | undefined => {
  if (definition.volumes.length === 0 && !definition.standalone) return undefined
  const own = definition.volumes.map((use) => use.mount)
  return definition.standalone ? [...standaloneTmpfs.map((target) => ({ source: '', target, type: 'tmpfs' })), ...own] : own
}

export const mountsOf = (definition: ServiceDefinition, read: Converter, standalone: boolean): readonly ServiceMount[] => {
  const mounts = read.list('hive_volumes').flatMap((volume): ServiceMount[] => {
    if (!isMapping(volume)) {
      read.wrong('hive_volumes', `a volume must be a mapping, but is ${describe(volume)}`, 'write {source: …, target: …, type: volume}')
      return []
    }
    const source = volume['source'] === undefined || volume['source'] === null ? '' : textOf(volume['source'])
    const target = volume['target'] === undefined || volume['target'] === null ? '' : textOf(volume['target'])
    const readOnly = volume['readonly'] === true || /^(?:true|yes|on|1)$/i.test(textOf(volume['readonly'] ?? ''))
    return [{ type: typeOf(read, volume['type'], source), source, target, readOnly }]
  })
  const targets = new Set<string>()
  for (const mount of mounts) {
    if (targets.has(mount.target)) read.wrong('hive_volumes', `two volumes have the target ${mount.target}`, 'mount each at a place of its own')
    targets.add(mount.target)
  }
  // A pseudo-host's variable may make a service standalone that its definition does not.
  if (!standalone || definition.standalone) return mounts
  return [
    ...standaloneTmpfs.filter((target) => !targets.has(target)).map((target): ServiceMount => ({ type: 'tmpfs', source: '', target, readOnly: false })),
    ...mounts,
  ]
}

const typeOf = (read: Converter, written: unknown, source: string): ServiceMount['type'] => {
  if (written === 'bind' || written === 'volume' || written === 'tmpfs') return written
  if (written !== undefined && written !== null) read.wrong('hive_volumes', `unknown volume type ${describe(written)}`, 'write bind, volume or tmpfs')
  else if (!source.startsWith('/') && source !== '') {
    read.notice('hive_volumes', `'${source}' has no type and is no path; it is taken as type: volume`)
    return 'volume'
  }
  return 'bind'
}
