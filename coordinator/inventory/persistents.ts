import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { HiveError } from '../../proto/errors.ts'
import type { Allocations, NumberMap } from './allocations.ts'
import { describe, isMapping } from './mapping.ts'
import { Findings, InventoryError } from './problems.ts'
import { type StageName, stageNames } from './site.ts'
import { readYaml, valueAt } from './yaml-source.ts'

/** What outlives commands: variable → scope (`global` or a stage) → value. The file hive-builder keeps, in its format. */
export type Persistents = Record<string, Record<string, unknown>>

export const persistentsPath = (root: string): string => join(root, '.hive', 'persistents.yml')

/** Reads `.hive/persistents.yml`; empty when it does not exist. Throws InventoryError when it is not what it should be. */
export const readPersistents = (root: string): Persistents => {
  const path = persistentsPath(root)
  if (!existsSync(path)) return {}
  const findings = new Findings()
  const file = relative(root, path)
  const content = readYaml(readFileSync(path, 'utf8'), file, findings) ?? {}
  if (!isMapping(content) || Object.values(content).some((scopes) => !isMapping(scopes))) {
    if (findings.problems.length === 0)
      findings.problem({ file, line: 1, column: 1 }, '', 'must map variables to scopes', 'write it as {stage: {global: private}}')
  } else for (const name of mapNames) checkMaps(content[name], name, findings)
  if (findings.problems.length > 0) throw new InventoryError(findings.problems)
  return structuredClone(content) as Persistents
}

const mapNames = ['drbd_device_map', 'published_port_map'] as const
/** Set to true, under `global`, once every stage's numbers stand under that stage. */
const perStage = 'allocations_per_stage'

const checkMaps = (scopes: unknown, name: string, findings: Findings): void => {
  if (!isMapping(scopes)) return
  for (const [scope, map] of Object.entries(scopes)) {
    if (map === null) continue
    if (!isMapping(map)) {
      findings.problem(valueAt(scopes, scope), `${name}.${scope}`, `must be a mapping of names to numbers, but is ${describe(map)}`, 'write NAME: number')
      continue
    }
    for (const [key, value] of Object.entries(map)) {
      if (numberOf(value) === undefined)
        findings.problem(valueAt(map, key), `${name}.${scope}.${key}`, `${describe(value)} is no number that was given`, 'write a whole number from 1')
    }
  }
}

const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number > 0 ? number : undefined
}

const numberMap = (value: unknown): NumberMap =>
  Object.fromEntries(Object.entries(isMapping(value) ? value : {}).flatMap(([key, member]) => (numberOf(member) === undefined ? [] : [[key, Number(member)]])))

/**
 * Whose numbers a stage without its own goes by: hive-builder reads and writes them under the stage that is set
 * persistently (private unless set), whatever stage its command line names.
 */
export const borrowedFrom = (persistents: Persistents, stage: StageName): StageName | undefined => {
  if (persistents[perStage]?.['global'] === true || mapNames.some((name) => isMapping(persistents[name]?.[stage]))) return undefined
  const written = persistents['stage']?.['global']
  const set = stageNames.find((name) => name === written) ?? 'private'
  return [set, 'private' as const].find((lender) => lender !== stage && mapNames.some((name) => isMapping(persistents[name]?.[lender])))
}

/** What a stage was given; its own numbers, else those that hive-builder kept under another stage. */
export const allocationsIn = (persistents: Persistents, stage: StageName): Allocations => {
  const from = borrowedFrom(persistents, stage) ?? stage
  return { devices: numberMap(persistents['drbd_device_map']?.[from]), ports: numberMap(persistents['published_port_map']?.[from]) }
}

/** Stores a stage's numbers. Stages that still go by another's get them as their own, before these change. */
export const withAllocations = (persistents: Persistents, stage: StageName, allocations: Allocations): Persistents => {
  const borrowers = stageNames.filter((name) => name !== stage && borrowedFrom(persistents, name) !== undefined)
  const maps = (key: 'devices' | 'ports'): Record<string, unknown> =>
    Object.fromEntries([...borrowers.map((name) => [name, { ...allocationsIn(persistents, name)[key] }]), [stage, { ...allocations[key] }]])
  return {
    ...persistents,
    drbd_device_map: { ...persistents['drbd_device_map'], ...maps('devices') },
    published_port_map: { ...persistents['published_port_map'], ...maps('ports') },
    [perStage]: { global: true },
  }
}

const lockDeadlineMs = 10_000
const lockRetryMs = 25

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The lock of a process that is gone is taken away: only its owner would remove it. */
const dropStale = (lock: string): void => {
  try {
    const pid = Number(readFileSync(lock, 'utf8'))
    const unwritten = pid === 0 && Date.now() - statSync(lock).mtimeMs > 1000
    if (unwritten || (pid > 0 && !alive(pid))) rmSync(lock, { force: true })
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
  }
}

const takeLock = async (lock: string): Promise<void> => {
  const deadline = Date.now() + lockDeadlineMs
  for (;;) {
    try {
      const descriptor = openSync(lock, 'wx', 0o600)
      writeSync(descriptor, String(process.pid))
      closeSync(descriptor)
      return
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
    }
    dropStale(lock)
    if (Date.now() > deadline) throw new HiveError('locked', `${lock} is held by another process`, { hint: 'wait for it, or remove the file when it is gone' })
    await wait(lockRetryMs)
  }
}

/**
 * Changes `.hive/persistents.yml` as one step: nobody else writes meanwhile, and the file is complete at all times.
 * `change` gets what is there now; undefined from it writes nothing. Throws HiveError `locked` after 10 s.
 */
export const updatePersistents = async <T>(
  root: string,
  change: (now: Persistents) => { readonly next: Persistents | undefined; readonly answer: T },
): Promise<T> => {
  const path = persistentsPath(root)
  mkdirSync(dirname(path), { recursive: true })
  const lock = `${path}.lock`
  await takeLock(lock)
  try {
    const { next, answer } = change(readPersistents(root))
    if (next !== undefined) writeAtomically(path, stringify(next, { version: '1.1', lineWidth: 0 }))
    return answer
  } finally {
    rmSync(lock, { force: true })
  }
}

const writeAtomically = (path: string, content: string): void => {
  const temporary = `${path}.${process.pid}.tmp`
  const descriptor = openSync(temporary, 'w', 0o600)
  try {
    writeSync(descriptor, content)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, path)
}
