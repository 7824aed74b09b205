/** The agent's packages that come with hivecoord: inside its one executable, beside its installed files, or built from the checkout. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { getAssetKeys, getRawAsset, isSea } from 'node:sea'
import { pathToFileURL } from 'node:url'
import { HiveError } from '../../proto/errors.ts'

export type PackageKind = 'rpm' | 'deb'

export interface PackagedAgent {
  readonly kind: PackageKind
  readonly fileName: string
  readonly version: string
  /** Of the package, hex. */
  readonly sha256: string
  /** Of the executable in it, hex: what a running agent tells of itself. */
  readonly binarySha256: string
  /** Bytes. */
  readonly size: number
  /** The package. Throws HiveError 'internal' where it is not the one that the digest was made of. */
  bytes(): Promise<Uint8Array>
}

const manifestName = 'packages/manifest.json'

/** Where nothing is embedded and there is no checkout: undefined. In a checkout it is built, which takes seconds when its sources changed. */
export async function packagedAgent(kind: PackageKind): Promise<PackagedAgent | undefined> {
  if (isSea()) {
    if (!getAssetKeys().includes(manifestName)) return undefined
    return fromManifest(kind, Buffer.from(getRawAsset(manifestName)).toString('utf8'), (name) =>
      Promise.resolve(new Uint8Array(getRawAsset(`packages/${name}`))),
    )
  }
  const checkout = process.env['HIVE_CHECKOUT']
  if (checkout !== undefined) return built(kind, checkout)
  for (const folder of [import.meta.dirname, dirname(import.meta.dirname)]) {
    const manifest = join(folder, manifestName)
    if (existsSync(manifest)) return fromManifest(kind, await readFile(manifest, 'utf8'), (name) => readFile(join(folder, 'packages', name)))
  }
  for (let folder = import.meta.dirname; dirname(folder) !== folder; folder = dirname(folder)) if (existsSync(join(folder, builder))) return built(kind, folder)
  return undefined
}

const builder = 'packaging/build-packages.mjs'

async function built(kind: PackageKind, checkout: string): Promise<PackagedAgent> {
  const { buildPackage } = (await import(pathToFileURL(join(checkout, builder)).href)) as {
    buildPackage(kind: PackageKind): Promise<Omit<PackagedAgent, 'bytes'> & { readonly path: string }>
  }
  const { path, fileName, version, sha256, binarySha256, size } = await buildPackage(kind)
  return withBytes({ kind, fileName, version, sha256, binarySha256, size }, () => readFile(path))
}

/** The package of a kind that a manifest names; `read` gives its bytes. Throws HiveError as `packagesOf` does. */
export function fromManifest(kind: PackageKind, text: string, read: (fileName: string) => Promise<Uint8Array>): PackagedAgent | undefined {
  const entry = packagesOf(text).find((candidate) => candidate.kind === kind)
  return entry === undefined ? undefined : withBytes(entry, () => read(entry.fileName))
}

function withBytes(about: Omit<PackagedAgent, 'bytes'>, read: () => Promise<Uint8Array>): PackagedAgent {
  return {
    ...about,
    bytes: async () => {
      const bytes = await read()
      if (createHash('sha256').update(bytes).digest('hex') === about.sha256) return bytes
      throw new HiveError('internal', `${about.fileName} in this installation is damaged`, { hint: 'install hivecoord again' })
    },
  }
}

/** Throws HiveError 'internal' for a manifest that is not as `npm run package` writes it. Exported for tests. */
export function packagesOf(text: string): readonly Omit<PackagedAgent, 'bytes'>[] {
  const wrong = () => new HiveError('internal', 'the list of packages in this installation is damaged', { hint: 'install hivecoord again' })
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    throw wrong()
  }
  if (!Array.isArray(list)) throw wrong()
  return list.map((entry: unknown) => {
    const { kind, fileName, version, sha256, binarySha256, size } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
    const texts = [fileName, version, sha256, binarySha256]
    if ((kind !== 'rpm' && kind !== 'deb') || typeof size !== 'number' || !texts.every((value) => typeof value === 'string')) throw wrong()
    const [name, told, digest, binaryDigest] = texts as [string, string, string, string]
    return { kind, fileName: name, version: told, sha256: digest, binarySha256: binaryDigest, size }
  })
}
