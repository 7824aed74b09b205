import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { assemble } from './assemble.ts'
import { isMapping } from './mapping.ts'
import { passwordOf, writePasswords } from './passwords.ts'
import { allocationsIn, borrowedFrom, readPersistents, updatePersistents, withAllocations } from './persistents.ts'
import { Findings, InventoryError } from './problems.ts'
import type { AssembleInput } from './read-definitions.ts'
import { loadSettings } from './settings.ts'
import { type Site, type StageName, stageNames } from './site.ts'
import { shownPath } from './sources.ts'
import { VariableError } from './variables.ts'
import { readYaml } from './yaml-source.ts'

export interface LoadOptions {
  /** The site folder. */
  readonly root: string
  /** Else the persisted one, else private. */
  readonly stage?: string | undefined
  readonly inventoryPath?: string | undefined
  readonly contextDir?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Store password files that lookups make up. Otherwise their values hold for this process only. */
  readonly createPasswords?: boolean | undefined
  /** Store newly allocated device ids and ports. */
  readonly persist?: boolean | undefined
  /**
   * Whether the registry is set up with what is read: then a stage whose registry still has the password that sites use for other things
   * gets one of its own. Others go by the password that the registry has.
   */
  readonly setsUpRegistry?: boolean | undefined
  /** Whether lookup('pipe') runs its command; as createPasswords unless set. */
  readonly runCommands?: boolean | undefined
  /**
   * Whether a secret file that a lookup names must exist; as createPasswords unless set. Sites keep such files out of
   * their repositories: without them an inventory can be shown and planned, with those values left open and told.
   */
  readonly needSecrets?: boolean | undefined
}

/** In the stage's context folder. */
export const registryPasswordFile = 'registry_login_password'

// Another process may allocate or make a password between reading and storing; then everything is read once more.
const attempts = 5

/**
 * Reads, checks, renders and allocates the inventory of a site for one stage. Nothing is written before everything is
 * right, and nothing at all without `persist` or `createPasswords`.
 * Throws InventoryError with all mistakes at once, HiveError `locked` or `invalid-input` for what is persisted.
 */
export const loadSite = async (options: LoadOptions): Promise<Site> => {
  for (let attempt = 1; ; attempt++) {
    const loaded = loadOnce(options)
    if (await store(loaded, options)) return loaded.site
    if (attempt === attempts) throw new Error('other processes keep changing what this site has allocated')
  }
}

interface Loaded {
  readonly site: Site
  readonly before: string
  readonly allocations: ReturnType<typeof allocationsIn>
  readonly newPasswords: ReadonlySet<string>
}

const loadOnce = (options: LoadOptions): Loaded => {
  const root = resolve(options.root)
  const findings = new Findings()
  const env = options.env ?? process.env
  const stage = options.stage
  if (stage !== undefined && !stageNames.some((name) => name === stage)) {
    findings.problem({ file: 'inventory', line: 1, column: 1 }, '', `there is no stage '${stage}'`, `use one of ${stageNames.join(', ')}`)
    findings.throwIfAny()
  }
  const settings = loadSettings(root, stage)
  const persistents = readPersistents(root)
  const remembered = allocationsIn(persistents, settings.stage)
  const lender = borrowedFrom(persistents, settings.stage)
  if (lender !== undefined)
    findings.notice(
      `.hive/persistents.yml: the stage ${settings.stage} goes by the device ids and ports stored under ${lender}, where hive-builder keeps them for all stages`,
    )
  const contextDir = resolve(root, options.contextDir ?? String(settings.get('context_dir')))
  const newPasswords = new Set<string>()
  const assembled = assembleOrTell({
    root,
    stage: settings.stage,
    inventoryPath: resolve(root, options.inventoryPath ?? String(settings.get('inventory_path'))),
    contextDir,
    env,
    settings,
    remembered,
    tagMapping: readTagMapping(root, contextDir, findings),
    registryPassword: () => registryPassword(contextDir, options.setsUpRegistry === true, (path) => newPasswords.add(path)),
    stageSecret: (file, length, characters = alphanumeric) => {
      const path = join(contextDir, file)
      const found = passwordOf({ path, length, characters })
      if (found.isNew) newPasswords.add(path)
      return found.password
    },
    runCommands: options.runCommands ?? options.createPasswords === true,
    needSecrets: options.needSecrets ?? options.createPasswords === true,
    newPassword: (path) => newPasswords.add(path),
    findings,
  })
  return { site: assembled.site, allocations: assembled.allocations, before: JSON.stringify(remembered), newPasswords }
}

const letters = 'abcdefghijklmnopqrstuvwxyz'
const alphanumeric = `${letters}${letters.toUpperCase()}0123456789`

/**
 * The registry's own password. `registry_password` is there in any case: hive-builder's sites use it for databases and more, and roles look
 * it up. It is the registry's too in a stage that was set up so before, until its registry is set up anew.
 */
const registryPassword = (contextDir: string, setsUp: boolean, isNew: (path: string) => void): string => {
  const passwordIn = (name: string, length: number) => {
    const path = join(contextDir, name)
    const found = passwordOf({ path, length, characters: alphanumeric })
    if (found.isNew) isNew(path)
    return found
  }
  const shared = passwordIn('registry_password', 15)
  const hasOwn = existsSync(join(contextDir, registryPasswordFile))
  return hasOwn || shared.isNew || setsUp ? passwordIn(registryPasswordFile, 32).password : shared.password
}

/** A value that can't be made where nobody reads it for itself is a mistake of the inventory like any other. */
const assembleOrTell = (input: AssembleInput): ReturnType<typeof assemble> => {
  try {
    return assemble(input)
  } catch (thrown) {
    if (!(thrown instanceof VariableError)) throw thrown
    input.findings.problem(thrown.at ?? { file: shownPath(input.root, input.inventoryPath), line: 1, column: 1 }, '', thrown.message, thrown.instead)
    throw new InventoryError(input.findings.problems)
  }
}

const store = async (loaded: Loaded, options: LoadOptions): Promise<boolean> => {
  const root = loaded.site.root
  const stage: StageName = loaded.site.stage
  if (options.createPasswords === true && !writePasswords(loaded.newPasswords)) return false
  if (options.persist !== true || JSON.stringify(loaded.allocations) === loaded.before) return true
  return await updatePersistents(root, (now) =>
    JSON.stringify(allocationsIn(now, stage)) === loaded.before
      ? { next: withAllocations(now, stage, loaded.allocations), answer: true }
      : { next: undefined, answer: false },
  )
}

/** `tag-mapping.json` of the stage: the tag in the inventory → the tag to use. */
const readTagMapping = (root: string, contextDir: string, findings: Findings): ReadonlyMap<string, string> => {
  const path = join(contextDir, 'tag-mapping.json')
  if (!existsSync(path)) return new Map()
  const file = shownPath(root, path)
  const content = readYaml(readFileSync(path, 'utf8'), file, findings)
  if (!isMapping(content) || Object.values(content).some((value) => typeof value !== 'string')) {
    findings.problem({ file, line: 1, column: 1 }, '', 'must be a JSON object of tags', 'write {"mariadb:10.4": "mariadb:10.4.34"}')
    return new Map()
  }
  return new Map(Object.entries(content).map(([before, after]) => [before, String(after)]))
}
