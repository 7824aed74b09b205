/**
 * Secrets and configs of services. Docker's can't be changed, and a secret can't be read back: each content is an object of its own, whose
 * labels say which service and file it is for, and by a salted digest what is in it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ServiceFile } from '#gen/hive/v1/steps_docker.ts'
import { dockerDelete, dockerGet, dockerPost, dockerStatus } from '../docker.ts'
import type { FileObject, FileReference, Service, ServiceSpec } from './api-types.ts'

export const fileKinds = ['secrets', 'configs'] as const
export type FileKind = (typeof fileKinds)[number]

const serviceLabel = 'hive.service'
const nameLabel = 'hive.name'
const digestLabel = 'hive.digest'

/** Of both kinds, what a service is to have. */
export interface WantedFiles {
  readonly secrets: readonly ServiceFile[]
  readonly configs: readonly ServiceFile[]
}

/** The objects that hold them. */
export interface FoundFiles {
  readonly secrets: readonly FileReference[]
  readonly configs: readonly FileReference[]
}

/** Stands for an object that is yet to be made. */
const unmade = 'new content'

/** SALT:HMAC of a content, the salt 16 bytes in hexadecimal; a new salt where none is given. */
export function saltedDigest(content: Uint8Array, salt = randomBytes(16).toString('hex')): string {
  return `${salt}:${createHmac('sha256', Buffer.from(salt, 'hex')).update(content).digest('hex')}`
}

export function holds(object: FileObject, content: Uint8Array): boolean {
  const digest = object.Spec.Labels?.[digestLabel] ?? ''
  const own = saltedDigest(content, digest.split(':')[0] ?? '')
  return digest.length === own.length && timingSafeEqual(Buffer.from(digest), Buffer.from(own))
}

export async function findFiles(service: string, wanted: WantedFiles, signal: AbortSignal): Promise<FoundFiles> {
  const [secrets, configs] = await Promise.all(
    fileKinds.map(async (kind) => {
      if (wanted[kind].length === 0) return []
      const objects = await objectsOf(kind, service, signal)
      return wanted[kind].map((file) => reference(kind, file, objectFor(file, objects)))
    }),
  )
  return { secrets: secrets ?? [], configs: configs ?? [] }
}

/** As `findFiles`, with those made that were not there. */
export async function makeFiles(service: string, wanted: WantedFiles, signal: AbortSignal): Promise<FoundFiles> {
  const found: { secrets: FileReference[]; configs: FileReference[] } = { secrets: [], configs: [] }
  for (const kind of fileKinds) {
    const objects = wanted[kind].length === 0 ? [] : await objectsOf(kind, service, signal)
    for (const file of wanted[kind]) found[kind].push(reference(kind, file, objectFor(file, objects) ?? (await make(kind, service, file, signal))))
  }
  return found
}

/** Takes away what neither the service nor its definition before the last change uses; all of it where the service is gone. */
export async function removeUnusedFiles(service: string, existing: Service | undefined, signal: AbortSignal): Promise<void> {
  const used = new Set(idsOf(existing))
  for (const kind of fileKinds)
    for (const { ID } of await objectsOf(kind, service, signal)) {
      if (used.has(ID)) continue
      await dockerDelete(`/${kind}/${ID}`, { signal }).catch((error: unknown) => {
        // A service that somebody else made may use it, and somebody else may have taken it away.
        if (![400, 404, 409].includes(dockerStatus(error) ?? 0)) throw error
      })
    }
}

/** Whether the service, or its definition before the last change, has secrets or configs. */
export const usesFiles = (service: Service | undefined): boolean => idsOf(service).length > 0

const idsOf = (service: Service | undefined): readonly string[] => [service?.Spec, service?.PreviousSpec ?? undefined].flatMap(idsIn)

const idsIn = (spec: ServiceSpec | undefined): readonly string[] => {
  const { Secrets, Configs } = spec?.TaskTemplate.ContainerSpec ?? {}
  return [...(Secrets ?? []).map(({ SecretID }) => SecretID ?? ''), ...(Configs ?? []).map(({ ConfigID }) => ConfigID ?? '')]
}

async function objectsOf(kind: FileKind, service: string, signal: AbortSignal): Promise<readonly FileObject[]> {
  return dockerGet<readonly FileObject[]>(`/${kind}`, { query: { filters: { label: [`${serviceLabel}=${service}`] } }, signal })
}

const objectFor = (file: ServiceFile, objects: readonly FileObject[]): FileObject | undefined =>
  objects.find((object) => object.Spec.Labels?.[nameLabel] === file.name && holds(object, file.content))

async function make(kind: FileKind, service: string, file: ServiceFile, signal: AbortSignal): Promise<FileObject> {
  const Spec = {
    // Docker takes 64 characters; the labels are what counts.
    Name: `${`${service}_${file.name}`.slice(0, 50)}_${randomBytes(6).toString('hex')}`,
    Labels: { [serviceLabel]: service, [nameLabel]: file.name, [digestLabel]: saltedDigest(file.content) },
  }
  const { ID } = await dockerPost<{ ID: string }>(`/${kind}/create`, { body: { ...Spec, Data: Buffer.from(file.content).toString('base64') }, signal })
  return { ID, Spec }
}

function reference(kind: FileKind, file: ServiceFile, object: FileObject | undefined): FileReference {
  const File = { Name: file.target, UID: String(file.uid), GID: String(file.gid), Mode: file.mode }
  const [id, name] = [object?.ID ?? '', object?.Spec.Name ?? unmade]
  return kind === 'secrets' ? { File, SecretID: id, SecretName: name } : { File, ConfigID: id, ConfigName: name }
}
