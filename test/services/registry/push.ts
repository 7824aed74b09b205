/** Images made up and pushed as docker pushes them: layers first, then the configuration, then the manifest. */
import { createHash } from 'node:crypto'
import https from 'node:https'
import type { Registry } from './registry.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export const sha256 = (content: Buffer | string): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
const indexType = 'application/vnd.oci.image.index.v1+json'

/** `path` may be a whole address. */
export function ask(registry: Registry, method: string, path: string, body?: Buffer | string, type = 'application/octet-stream'): Promise<Reply> {
  const { port, user, password, ca } = registry.access
  return new Promise((resolve, reject) => {
    const request = https.request(
      new URL(path, `https://127.0.0.1:${port}`),
      {
        method,
        ca,
        agent: false,
        auth: `${user}:${password}`,
        headers: body === undefined ? { accept: `${manifestType}, ${indexType}` } : { 'content-type': type },
      },
      async (response) => {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** Where the next part of the upload goes. */
export async function beginUpload(registry: Registry, repository: string): Promise<string> {
  const { status, headers, body } = await ask(registry, 'POST', `/v2/${repository}/blobs/uploads/`, '')
  if (status !== 202) throw new Error(`no upload to ${repository}: ${status} ${body.toString()}`)
  return String(headers['location'])
}

export async function pushBlob(registry: Registry, repository: string, content: Buffer | string): Promise<string> {
  const digest = sha256(content)
  // As docker does: what the registry says it has is left out.
  if ((await ask(registry, 'HEAD', `/v2/${repository}/blobs/${digest}`)).status === 200) return digest
  const location = new URL(await beginUpload(registry, repository))
  location.searchParams.set('digest', digest)
  const { status, body } = await ask(registry, 'PUT', location.href, content)
  if (status !== 201) throw new Error(`${repository} refused a blob: ${status} ${body.toString()}`)
  return digest
}

export interface Made {
  readonly repository: string
  readonly tags: readonly string[]
  readonly layers: readonly string[]
  readonly built: Date
}

/** The digest of its manifest. */
export async function pushImage(registry: Registry, { repository, tags, layers, built }: Made): Promise<string> {
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', created: built.toISOString(), rootfs: { type: 'layers', diff_ids: layers.map(sha256) } })
  const parts = []
  for (const layer of layers)
    parts.push({ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: layer.length, digest: await pushBlob(registry, repository, layer) })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: config.length, digest: await pushBlob(registry, repository, config) },
    layers: parts,
  })
  for (const tag of tags.length === 0 ? [sha256(manifest)] : tags) await pushManifest(registry, repository, tag, manifest, manifestType)
  return sha256(manifest)
}

/** An index of manifests that the registry has. */
export async function pushIndex(registry: Registry, repository: string, tag: string, digests: readonly string[]): Promise<string> {
  const manifests = await Promise.all(
    digests.map(async (digest, index) => {
      const { body } = await ask(registry, 'GET', `/v2/${repository}/manifests/${digest}`)
      return { mediaType: manifestType, digest, size: body.length, platform: { os: 'linux', architecture: ['amd64', 'arm64'][index] } }
    }),
  )
  const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests })
  await pushManifest(registry, repository, tag, index, indexType)
  return sha256(index)
}

async function pushManifest(registry: Registry, repository: string, tag: string, manifest: string, type: string): Promise<void> {
  const { status, body } = await ask(registry, 'PUT', `/v2/${repository}/manifests/${tag}`, manifest, type)
  if (status !== 201) throw new Error(`${repository}:${tag} was refused: ${status} ${body.toString()}`)
}

/** "whole", "gone", or what is missing of it. */
export async function stateOf(registry: Registry, repository: string, reference: string): Promise<string> {
  const { status, body } = await ask(registry, 'GET', `/v2/${repository}/manifests/${reference}`)
  if (status === 404) return 'gone'
  if (status !== 200) return `answers ${status}`
  const {
    config,
    layers = [],
    manifests = [],
  } = JSON.parse(body.toString()) as {
    readonly config?: { readonly digest: string }
    readonly layers?: readonly { readonly digest: string }[]
    readonly manifests?: readonly { readonly digest: string }[]
  }
  for (const { digest } of [...(config === undefined ? [] : [config]), ...layers])
    if ((await ask(registry, 'GET', `/v2/${repository}/blobs/${digest}`)).status !== 200) return `lacks ${digest}`
  for (const { digest } of manifests) {
    const state = await stateOf(registry, repository, digest)
    if (state !== 'whole') return `its ${digest} is ${state}`
  }
  return 'whole'
}
