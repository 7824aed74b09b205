/** What an image's manifest refers to, whatever its format: docker's or OCI's, of one image or an index of several. Pure. */

export interface ManifestParts {
  /** Digest of the image's configuration, which knows when it was built. */
  readonly config: string | undefined
  /** Digests of all blobs, the configuration included. */
  readonly blobs: readonly string[]
  /** Digests of further manifests. */
  readonly children: readonly string[]
}

interface Descriptor {
  readonly digest?: unknown
}

const nothing: ManifestParts = { config: undefined, blobs: [], children: [] }

/** Nothing for what is no manifest. */
export function referredTo(text: string): ManifestParts {
  let manifest: {
    readonly config?: Descriptor
    readonly layers?: unknown
    readonly fsLayers?: unknown
    readonly manifests?: unknown
    readonly subject?: Descriptor
  }
  try {
    manifest = JSON.parse(text) as typeof manifest
  } catch {
    return nothing
  }
  if (typeof manifest !== 'object' || manifest === null) return nothing
  const config = digestOf(manifest.config)
  // The oldest format names its layers otherwise, and has no configuration.
  const layers = [...digestsOf(manifest.layers), ...digestsOf(manifest.fsLayers, 'blobSum')]
  return { config, blobs: [...(config === undefined ? [] : [config]), ...layers], children: digestsOf(manifest.manifests) }
}

const digestOf = (part: unknown, key = 'digest'): string | undefined => {
  const digest: unknown = typeof part === 'object' && part !== null ? (part as Record<string, unknown>)[key] : undefined
  return typeof digest === 'string' && digest !== '' ? digest : undefined
}

const digestsOf = (parts: unknown, key = 'digest'): readonly string[] => (Array.isArray(parts) ? parts.flatMap((part) => digestOf(part, key) ?? []) : [])
