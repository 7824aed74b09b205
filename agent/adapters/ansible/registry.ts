/** Manifests in a registry (distribution API v2 over TLS, password log-in), as far as built images need them. */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { rootCertificates } from 'node:tls'
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import { pause } from '../docker/wait.ts'
import { assertMayMutate } from '../gate.ts'

const deadlineMilliseconds = 15_000
let siteCa = '/etc/hive-agent/pki/ca.pem'

/** Where the CA's certificate lies. Meant for start-up and for tests; default /etc/hive-agent/pki/ca.pem. */
export function useSiteCa(path: string): void {
  siteCa = path
}

const manifestTypes = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
].join(', ')

export interface RepositoryReference {
  /** HOST:PORT */
  readonly server: string
  /** Path of the repository: image_web */
  readonly path: string
}

/** HOST:PORT/PATH, without a tag. */
export function repositoryReference(repository: string): RepositoryReference {
  const slash = repository.indexOf('/')
  if (slash < 1) throw new HiveError('invalid-input', `${repository} names no registry`)
  return { server: repository.slice(0, slash), path: repository.slice(slash + 1) }
}

/** The digest of a tag's manifest; undefined where the registry does not have it. Throws 'unreachable', 'denied', 'timeout'. */
export async function manifestDigest(repository: string, tag: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<string | undefined> {
  const answer = await ask('HEAD', repositoryReference(repository), tag, auth, signal)
  if (answer.status === 404) return undefined
  expectStatus(answer, 200, `${repository}:${tag}`)
  return answer.digest
}

/** Milliseconds for which a registry may be read-only, and between two attempts. */
const readOnlyTime = 30 * 60_000
const readOnlyPause = 5_000

/** Gives a manifest that the registry has a second tag. Waits while the registry is read-only because its garbage is collected. */
export async function copyTag(repository: string, from: string, to: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<void> {
  assertMayMutate(`tag ${repository}:${from} as ${to}`)
  const reference = repositoryReference(repository)
  const manifest = await ask('GET', reference, from, auth, signal)
  expectStatus(manifest, 200, `${repository}:${from}`)
  const until = performance.now() + readOnlyTime
  for (;;) {
    const answer = await ask('PUT', reference, to, auth, signal, manifest)
    if (answer.status !== 405 || performance.now() > until) {
      expectStatus(answer, 201, `${repository}:${to}`)
      return
    }
    await pause(readOnlyPause, signal)
  }
}

/** Takes a manifest away, and with it all its tags. One that is not there is fine. Its layers stay until garbage is collected. */
export async function deleteManifest(repository: string, digest: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<void> {
  assertMayMutate(`delete ${repository}@${digest}`)
  const answer = await ask('DELETE', repositoryReference(repository), digest, auth, signal)
  if (answer.status !== 404) expectStatus(answer, 202, `${repository}@${digest}`)
}

interface Answer {
  readonly status: number
  readonly digest: string
  readonly type: string
  readonly body: Buffer
}

async function ask(
  method: 'HEAD' | 'GET' | 'PUT' | 'DELETE',
  { server, path }: RepositoryReference,
  tag: string,
  auth: RegistryAuth | undefined,
  signal: AbortSignal,
  manifest?: Answer,
): Promise<Answer> {
  const ca = await readFile(siteCa, 'utf8').catch(() => undefined)
  const headers: Record<string, string> = method === 'PUT' ? { 'content-type': manifest?.type ?? '' } : { accept: manifestTypes }
  if (auth !== undefined && auth.user !== '') headers['authorization'] = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`
  const ended = AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)])
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(`https://${server}/v2/${path}/manifests/${tag}`, {
        method,
        headers,
        signal: ended,
        agent: false,
        ca: ca === undefined ? [...rootCertificates] : [...rootCertificates, ca],
      })
      sent.once('response', resolve).once('error', reject)
      sent.end(manifest?.body)
    })
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return {
      status: response.statusCode ?? 0,
      digest: headerOf(response, 'docker-content-digest'),
      type: headerOf(response, 'content-type'),
      body: Buffer.concat(chunks),
    }
  } catch (cause) {
    if (signal.aborted) throw new HiveError('cancelled', `the request to the registry ${server} was stopped`, { cause })
    if (ended.aborted) throw new HiveError('timeout', `the registry ${server} did not answer within ${deadlineMilliseconds / 1000} s`, { cause })
    throw new HiveError('unreachable', `the registry ${server} can't be reached: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

const headerOf = (response: IncomingMessage, name: string): string => {
  const value = response.headers[name]
  return typeof value === 'string' ? value : (value?.[0] ?? '')
}

function expectStatus(answer: Answer, status: number, what: string): void {
  if (answer.status === status) return
  if (answer.status === 401 || answer.status === 403)
    throw new HiveError('denied', `the registry refused the log-in for ${what}`, { hint: '`hivecoord setup-hosts` gives the registry the stage’s password' })
  if (answer.status === 404) throw new HiveError('not-found', `the registry does not have ${what}`)
  throw new HiveError('command-failed', `the registry answered ${answer.status} for ${what}`, { log: [answer.body.toString('utf8').slice(0, 500)] })
}
