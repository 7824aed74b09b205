import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, extname, isAbsolute, join, relative, resolve } from 'node:path'
import { messageOf } from '../../proto/errors.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { readYaml } from './yaml-source.ts'

export interface SourceFile {
  /** As problems name it: relative to the site folder where it lies in it. */
  readonly file: string
  readonly path: string
  readonly content: Mapping
}

export interface Sources {
  readonly hives: readonly SourceFile[]
  readonly services: readonly SourceFile[]
  /** Group or host → its files' variables, from the weakest to the strongest. */
  readonly groupVars: ReadonlyMap<string, readonly Mapping[]>
  readonly hostVars: ReadonlyMap<string, readonly Mapping[]>
  /** The folder `inventory_dir` names. */
  readonly folder: string
}

const isYaml = (name: string): boolean => name.endsWith('.yml') || name.endsWith('.yaml')

export const shownPath = (root: string, path: string): string => {
  const shown = relative(root, path)
  return shown === '' || shown.startsWith('..') || isAbsolute(shown) ? path : shown
}

/** The content of a YAML file; undefined, and reported, when it can't be read. */
const readFile = (path: string, file: string, findings: Findings): unknown => {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    findings.problem({ file, line: 1, column: 1 }, '', `can't be read: ${messageOf(thrown)}`, 'make it a readable file, or remove it')
    return undefined
  }
  return readYaml(text, file, findings)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** Reads all files of the inventory. What can't be read goes to `findings`. */
export const readSources = (root: string, inventoryPath: string, findings: Findings): Sources => {
  const single = existsSync(inventoryPath) && statSync(inventoryPath).isFile()
  const folder = single ? dirname(inventoryPath) : inventoryPath
  const hives: SourceFile[] = []
  const services: SourceFile[] = []
  const paths = single ? [inventoryPath] : yamlFilesIn(folder)
  for (const path of paths) {
    const file = shownPath(root, path)
    const content = readFile(path, file, findings)
    if (content === undefined) continue
    const plugin = isMapping(content) ? content['plugin'] : undefined
    if (!isMapping(content)) findings.notice(`${file}: is no inventory file (no plugin: key) and is not read`)
    else if (plugin === 'hive_inventory') hives.push({ file, path, content })
    else if (plugin === 'hive_services') services.push({ file, path, content })
    else findings.notice(`${file}: is not read: ${plugin === undefined ? 'it has no plugin: key' : `its plugin is ${describe(plugin)}`}`)
  }
  if (hives.length === 0) noHive(root, inventoryPath, paths, findings)
  for (const extra of hives.slice(1)) {
    findings.problem(
      { file: extra.file, line: 1, column: 1 },
      'plugin',
      `${hives[0]?.file} is a hive definition already`,
      'keep all stages in one file with plugin: hive_inventory',
    )
  }
  return {
    hives,
    services,
    folder,
    groupVars: readVariables(root, join(folder, 'group_vars'), findings),
    hostVars: readVariables(root, join(folder, 'host_vars'), findings),
  }
}

const noHive = (root: string, inventoryPath: string, paths: readonly string[], findings: Findings): void => {
  if (findings.problems.length > 0) return
  const at = { file: shownPath(root, inventoryPath), line: 1, column: 1 }
  if (!existsSync(inventoryPath)) findings.problem(at, '', 'there is no such folder', 'run it in a site folder, or name one with --root')
  else findings.problem(at, '', `no hive definition among its ${paths.length} YAML files`, 'add a file with plugin: hive_inventory, name: and stages:')
}

const yamlFilesIn = (folder: string): readonly string[] =>
  existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => !entry.isDirectory() && isYaml(entry.name) && !entry.name.startsWith('.'))
        .map((entry) => join(folder, entry.name))
        .sort()
    : []

const variableExtensions = ['', '.yml', '.yaml', '.json']

/** group_vars or host_vars: NAME, NAME.yml, NAME.yaml, NAME.json, or a folder NAME with such files at any depth. */
const readVariables = (root: string, folder: string, findings: Findings): ReadonlyMap<string, readonly Mapping[]> => {
  const variables = new Map<string, Mapping[]>()
  if (!isFolder(folder)) return variables
  for (const entry of readdirSync(folder).sort()) {
    if (entry.startsWith('.') || entry.endsWith('~')) continue
    const path = join(folder, entry)
    const holdsFiles = isFolder(path)
    // Host names have dots: only the known extensions are taken off.
    const extension = holdsFiles || !variableExtensions.includes(extname(entry)) ? '' : extname(entry)
    const name = entry.slice(0, entry.length - extension.length)
    const files = holdsFiles ? variableFilesIn(path) : [path]
    for (const file of files) {
      const content = readFile(file, shownPath(root, file), findings)
      if (content === undefined || content === null) continue
      if (!isMapping(content)) {
        findings.problem(
          { file: shownPath(root, file), line: 1, column: 1 },
          '',
          `variables must be a mapping, but this is ${describe(content)}`,
          'write NAME: value',
        )
      } else variables.set(name, [...(variables.get(name) ?? []), content])
    }
  }
  return variables
}

const variableFilesIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .sort()
    .filter((name) => !name.startsWith('.') && !name.endsWith('~'))
    .flatMap((name) => {
      const path = resolve(folder, name)
      if (isFolder(path)) return variableFilesIn(path)
      return variableExtensions.includes(extname(name)) ? [path] : []
    })
