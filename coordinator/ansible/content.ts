/**
 * What a host needs to apply the site's roles, as one archive: roles/, builtin_roles/, lib/, plugins/, .collections/,
 * the stage's files that roles look up (context/), inventory/inventory.json and extra-vars.json. The same inputs give
 * the same bytes. It holds the site's secrets, so agents keep it readable by root only.
 *
 * The key of the site's CA is in it only for roles that issue certificates (hive-certificate, or one that names
 * cakey.pem itself); the ssh key never is.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import type { AnsibleContent } from '#gen/hive/v1/steps_ansible.ts'
import type { Site } from '../inventory/site.ts'
import type { Blob } from '../phases/phase.ts'
import { builtInRoles } from './builtin-roles.ts'
import { contextStamp } from './context-stamp.ts'
import { type PortableInventory, portableInventory } from './portable-inventory.ts'
import { rolesWithDependencies } from './roles.ts'
import { type TreeFile, treeFiles } from './tree.ts'

export interface SiteContent {
  readonly content: AnsibleContent
  readonly blob: Blob
}

type SiteForContent = Pick<Site, 'root' | 'contextDir' | 'hosts' | 'ansibleInventory'>

/** Files of the context folder larger than this are not what a role looks up, bytes. */
const largestLookedUp = 256 * 1024

/** Never sent, whatever a role's text says. */
const neverSent = /^(?:id_rsa.*|known_hosts.*|ssh_config|state\.json|archives\.json|registry_login_password|netns|.*\.lock)$/

const known = new WeakMap<object, Map<string, Promise<SiteContent>>>()

/** The content for these roles. Worked out once for a Site, and once more where the CA's key has to be in it. */
export async function ansibleContent(site: SiteForContent, roles: readonly string[]): Promise<SiteContent> {
  const withKey = await issuesCertificates(site, roles)
  const variant = `${withKey} ${await contextStamp(site.contextDir)}`
  const variants = known.get(site) ?? new Map<string, Promise<SiteContent>>()
  known.set(site, variants)
  const running = variants.get(variant)
  if (running !== undefined) return running
  const started = assemble(site, withKey)
  variants.set(variant, started)
  started.catch(() => variants.delete(variant))
  return started
}

/** True where these roles, or those they include, sign with the site's CA. */
export async function issuesCertificates(site: Pick<Site, 'root' | 'contextDir'>, names: readonly string[]): Promise<boolean> {
  const { roles, open } = await rolesWithDependencies(site, names)
  if (roles.has('hive-certificate')) return true
  const text = [...roles.values()].flatMap((role) => role.files.map((file) => file.content.toString('utf8'))).join('\n')
  return text.includes('cakey.pem') || (open && text.includes('hive-certificate'))
}

async function assemble(site: SiteForContent, withKey: boolean): Promise<SiteContent> {
  const inventory = portableInventory(site)
  const trees = await Promise.all([
    treeFiles(join(site.root, 'roles'), 'roles'),
    builtInRoles().then((files) => files.map((file) => ({ ...file, path: `builtin_roles/${file.path}` }))),
    treeFiles(join(site.root, 'lib'), 'lib'),
    treeFiles(join(site.root, 'plugins'), 'plugins'),
    treeFiles(join(site.root, '.collections'), '.collections'),
    treeFiles(join(site.contextDir, 'roles'), 'context/roles'),
    treeFiles(join(site.contextDir, 'collections'), 'context/collections'),
  ])
  const files = trees.flat()
  const made = [textFile('inventory/inventory.json', inventoryText(inventory)), textFile('extra-vars.json', JSON.stringify(inventory.extraVariables, null, 1))]
  const text = [...files, ...made].map((file) => file.content.toString('utf8')).join('\n')
  const archive = await tar([...files, ...made, ...(await contextFiles(site.contextDir, text, withKey))])
  const sha256 = createHash('sha256').update(archive).digest('hex')
  return {
    content: { blobSha256: sha256, size: BigInt(archive.length) },
    blob: {
      sha256,
      size: archive.length,
      async *open() {
        yield archive
      },
    },
  }
}

const textFile = (path: string, text: string): TreeFile => ({ path, executable: false, content: Buffer.from(`${text}\n`), link: undefined })

/** As Ansible's yaml inventory plugin takes it; JSON is YAML. The mother is the host that runs Ansible. */
export function inventoryText(inventory: PortableInventory): string {
  const mothers = new Set(inventory.groups['mother'] ?? [])
  const hosts = Object.fromEntries(
    Object.entries(inventory.hostVariables).map(([name, variables]) => [name, mothers.has(name) ? { ...variables, ansible_connection: 'local' } : variables]),
  )
  const children = Object.fromEntries(
    Object.entries(inventory.groups)
      .filter(([group]) => group !== 'all' && group !== 'ungrouped')
      .map(([group, members]) => [group, { hosts: Object.fromEntries(members.map((member) => [member, {}])) }]),
  )
  return JSON.stringify({ all: { hosts, children } }, null, 1)
}

/** The CA's certificate, the registry's password, and the files right in the context folder that roles or variables name. */
async function contextFiles(contextDir: string, text: string, withKey: boolean): Promise<TreeFile[]> {
  const names = ['ca/cacert.pem', ...(withKey ? ['ca/cakey.pem'] : [])]
  for (const name of (await readdir(contextDir).catch(() => [])).sort()) {
    const seen = await stat(join(contextDir, name))
    if (seen.isFile() && seen.size <= largestLookedUp && !neverSent.test(name) && (name === 'registry_password' || text.includes(name))) names.push(name)
  }
  const files = await Promise.all(names.map(async (name) => ({ name, content: await readFile(join(contextDir, name)).catch(() => undefined) })))
  return files.flatMap(({ name, content }) => (content === undefined ? [] : [{ path: `context/${name}`, executable: false, content, link: undefined }]))
}

/** Sorted, with fixed times and owners. */
export async function tar(files: readonly TreeFile[]): Promise<Buffer> {
  const archive = pack()
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))) {
    const common = { name: file.path, mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' }
    if (file.link !== undefined) archive.entry({ ...common, type: 'symlink', linkname: file.link, mode: 0o777 })
    else archive.entry({ ...common, mode: file.path.startsWith('context/') ? 0o600 : file.executable ? 0o755 : 0o644 }, file.content)
  }
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
