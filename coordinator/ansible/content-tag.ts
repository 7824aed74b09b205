/**
 * The tag of a built image, derived from all that its build can see, so that the same content has the same tag on every
 * machine and another one whenever it may come out differently.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import type { Image, Site } from '../inventory/site.ts'
import { type Archive, archivedImage, siteArchives } from './archives.ts'
import { contextStamp, stageFiles } from './context-stamp.ts'
import { type PortableInventory, portableInventory } from './portable-inventory.ts'
import { type RoleFiles, rolesWithDependencies } from './roles.ts'
import { type TreeFile, treeFiles } from './tree.ts'

/** Changes when the way images are made changes in a way that makes old ones wrong. */
const recipe = 1

export interface TagInput {
  readonly from: string
  /** What stands behind `from` where that is known: the content tag of a base archive or of another image. */
  readonly fromContent: string
  /** The image's own attributes. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** Names in order, as they are applied. */
  readonly roles: readonly string[]
  readonly roleFiles: RoleFiles
  /** Files of lib/ and plugins/. */
  readonly shared: readonly TreeFile[]
  /** Files of the stage's context folder that roles may look up: name → content. */
  readonly contextFiles: ReadonlyMap<string, Buffer>
  /** The pseudo-host whose variables the roles see. */
  readonly host: string
  readonly inventory: PortableInventory
}

/** Twelve hexadecimal digits. Pure: no clock, no folder names, no order of files on disk. */
export function contentTag(input: TagInput): string {
  const files = [
    ...[...input.roleFiles.roles.values()].flatMap((role) =>
      role.files.map((file) => ({ ...file, path: `roles/${role.name}/${file.path}`, builtIn: role.builtIn })),
    ),
    ...input.shared.map((file) => ({ ...file, builtIn: false })),
  ]
  const text = files.map((file) => file.content.toString('utf8')).join('\n')
  const ownText = files
    .filter((file) => !file.builtIn)
    .map((file) => file.content.toString('utf8'))
    .join('\n')
  const seesAllHosts = /\bhostvars\b|\bgroups\s*[[.]/.test(ownText)
  const variables = { ...input.inventory.hostVariables[input.host], ...input.inventory.extraVariables }
  return digest({
    recipe,
    from: input.from,
    fromContent: input.fromContent,
    attributes: input.attributes,
    roles: input.roles,
    files: files.map((file) => [file.path, file.executable, file.link ?? '', sha256(file.content)]).sort(),
    variables: seesAllHosts || input.roleFiles.open ? variables : visibleVariables(variables, text),
    others: seesAllHosts ? { groups: input.inventory.groups, hosts: input.inventory.hostVariables } : {},
    context: [...input.contextFiles]
      .filter(([name]) => mentions(text, name) || mentions(JSON.stringify(variables), name))
      .map(([name, content]) => [name, sha256(content)])
      .sort(),
  })
}

/**
 * The variables that are named in the text, or in the templates of one that is. All of them where names are made up
 * while a role runs (`lookup('vars', …)`, `vars[…]`).
 */
export function visibleVariables(variables: Readonly<Record<string, unknown>>, text: string): Readonly<Record<string, unknown>> {
  if (/\b(?:lookup|query|q)\s*\(\s*['"](?:ansible\.builtin\.)?(?:vars|varnames)['"]|\bvars\s*[[.]/.test(text)) return variables
  const words = new Set(text.match(/\w+/g) ?? [])
  const seen = new Map<string, unknown>()
  for (let grown = true; grown; ) {
    grown = false
    for (const [name, value] of Object.entries(variables)) {
      if (seen.has(name) || !words.has(name)) continue
      seen.set(name, value)
      grown = true
      const rendered = JSON.stringify(value) ?? ''
      if (rendered.includes('{')) for (const word of rendered.match(/\w+/g) ?? []) words.add(word)
    }
  }
  return Object.fromEntries([...seen].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const mentions = (text: string, name: string): boolean => text.includes(name.slice(name.lastIndexOf('/') + 1))

const known = new WeakMap<object, Map<string, Promise<ReadonlyMap<string, string>>>>()

/**
 * Image pseudo-host → content tag, for all images that this stage builds. Worked out once for a Site, and again when
 * its CA or its registry password has come to be since.
 */
export async function contentTags(site: Site): Promise<ReadonlyMap<string, string>> {
  const stamp = await contextStamp(site.contextDir)
  const ofSite = known.get(site) ?? new Map<string, Promise<ReadonlyMap<string, string>>>()
  known.set(site, ofSite)
  const running = ofSite.get(stamp)
  if (running !== undefined) return running
  const started = allTags(site)
  ofSite.set(stamp, started)
  started.catch(() => ofSite.delete(stamp))
  return started
}

/** Images that are built on this stage, each after those it is made from. Throws 'invalid-input' for a circle. */
export function buildOrder(site: Pick<Site, 'images' | 'registry' | 'stage'>): readonly Image[] {
  const built = site.images.filter((image) => image.stages.includes(site.stage) && image.pullFrom === undefined)
  const ordered: Image[] = []
  const visit = (image: Image, path: readonly string[]): void => {
    if (ordered.includes(image)) return
    if (path.includes(image.name)) throw new HiveError('invalid-input', `images are made from each other in a circle: ${[...path, image.name].join(' ← ')}`)
    const base = builtBase(built, image.from)
    if (base !== undefined) visit(base, [...path, image.name])
    ordered.push(image)
  }
  for (const image of built) visit(image, [])
  return ordered
}

/** The image of the site that `from` means, where it means one. */
export const builtBase = (images: readonly Image[], from: string): Image | undefined =>
  images.find((image) => from === image.repository || from === `${image.repository}:latest`)

/** Key of what roles do to a running container or a host: as a content tag, of roles and variables alone. */
export async function rolesKey(site: Site, target: string, roles: readonly string[]): Promise<string> {
  return contentTag({ ...(await common(site)), from: '', fromContent: '', attributes: {}, roles, roleFiles: await roleFilesOf(site, roles), host: target })
}

async function allTags(site: Site): Promise<ReadonlyMap<string, string>> {
  const shared = await common(site)
  const archives = await siteArchives(site)
  const tags = new Map<string, string>()
  for (const image of buildOrder(site)) {
    const roleFiles = await roleFilesOf(site, image.roles)
    tags.set(
      image.name,
      contentTag({
        ...shared,
        from: portableFrom(site, image.from),
        fromContent: baseContent(site, image, archives, tags),
        attributes: attributesOf(image),
        roles: image.roles,
        roleFiles,
        host: image.name,
      }),
    )
  }
  return tags
}

const portableFrom = (site: Site, from: string): string => from.replace(`${site.registry.host}:${site.registry.port}/`, 'REGISTRY/')

function baseContent(site: Site, image: Image, archives: readonly Archive[], tags: ReadonlyMap<string, string>): string {
  const base = builtBase(site.images, image.from)
  if (base !== undefined) return tags.get(base.name) ?? base.pullFrom ?? ''
  return archivedImage(archives, image.from)?.contentTag ?? ''
}

/** All that a build or a commit takes from the definition. */
const attributesOf = (image: Image): Record<string, unknown> => ({
  environment: image.environment,
  stopSignal: image.stopSignal,
  user: image.user,
  workingDir: image.workingDir,
  standalone: image.standalone,
  privileged: image.privileged,
  entrypoint: image.entrypoint,
  command: image.command,
  expose: image.expose,
})

/** All roles of the site where one includes others by a name that only its run knows. */
async function roleFilesOf(site: Site, names: readonly string[]): Promise<RoleFiles> {
  const found = await rolesWithDependencies(site, names)
  if (!found.open) return found
  const all = await treeFiles(join(site.root, 'roles'))
  const everything = { name: '*', builtIn: false, files: all }
  return { roles: new Map([...found.roles, ['*', everything]]), open: true, missing: found.missing }
}

async function common(site: Site): Promise<Pick<TagInput, 'shared' | 'contextFiles' | 'inventory'>> {
  const shared = [...(await treeFiles(join(site.root, 'lib'), 'lib')), ...(await treeFiles(join(site.root, 'plugins'), 'plugins'))]
  const contextFiles = new Map<string, Buffer>()
  for (const name of stageFiles) {
    const content = await readFile(join(site.contextDir, name)).catch(() => undefined)
    if (content !== undefined) contextFiles.set(name, content)
  }
  return { shared, contextFiles, inventory: portableInventory(site) }
}

const sha256 = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex')

const digest = (value: unknown): string => sha256(canonical(value)).slice(0, 12)

/** JSON with sorted keys; undefined members are left out. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, entry]) => entry !== undefined)
    return `{${members
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, entry]) => `${JSON.stringify(key)}:${canonical(entry)}`)
      .join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}
