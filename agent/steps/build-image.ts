/** An image is in the site's registry under its content tag and latest, built by roles in a container where it is not. */
import { readFile } from 'node:fs/promises'
import type { BuildImage } from '#gen/hive/v1/steps_ansible.ts'
import { HiveError } from '../../proto/errors.ts'
import { buildContainerName, commitBuildContainer, removeBuildContainer, startBuildContainer } from '../adapters/ansible/build-container.ts'
import { forgetOtherTags, pushImage } from '../adapters/ansible/images.ts'
import { copyTag, manifestDigest } from '../adapters/ansible/registry.ts'
import { applyRoles } from '../adapters/ansible.ts'
import { inspectImage, parseReference, pullImage } from '../adapters/docker/images.ts'
import { type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

const proxyVariables = /^(https?_proxy|no_proxy|pip_cert|pip_index_url|pip_trusted_host)$/i

export const buildImage: Executor<BuildImage> = {
  exclusive: (spec) => `build-image-${spec.lane}`,

  async check(spec, context) {
    return compare(spec, context)
  },

  async apply(spec, context) {
    const { signal } = context
    if ((await digestOf(spec, spec.contentTag, signal)) === undefined) await build(spec, context)
    // The content tag says that the build is complete; latest only follows it.
    await copyTag(spec.repository, spec.contentTag, 'latest', spec.auth, signal)
  },

  verify: (spec, context) => compare(spec, context),
}

async function compare(spec: BuildImage, { signal }: StepContext): Promise<CheckOutcome> {
  const wanted = `${spec.repository}:${spec.contentTag}`
  try {
    const [built, latest] = await Promise.all([digestOf(spec, spec.contentTag, signal), digestOf(spec, 'latest', signal)])
    if (built === undefined) return change('not built from this content yet', latest === undefined ? 'no image' : `latest is ${latest.slice(0, 19)}`, wanted)
    if (latest !== built) return change('latest is another build', latest?.slice(0, 19) ?? 'no latest', wanted)
    return ok
  } catch (thrown) {
    if (thrown instanceof HiveError && thrown.code === 'unreachable') return change('the registry does not answer yet', 'unknown', wanted)
    throw thrown
  }
}

const digestOf = (spec: BuildImage, tag: string, signal: AbortSignal): Promise<string | undefined> => manifestDigest(spec.repository, tag, spec.auth, signal)

async function build(spec: BuildImage, context: StepContext): Promise<void> {
  const { signal } = context
  const log = (line: string): void => context.log(line)
  if (spec.content === undefined) throw new HiveError('invalid-input', `${spec.name}: the step carries no content for Ansible`)
  let base = await inspectImage(spec.from, signal)
  if (base === undefined) {
    log(`pulling ${spec.from}`)
    const onProgress = (done: number, total: number): void => context.progress(spec.from, done, total, 'bytes')
    await pullImage(parseReference(spec.from), { auth: spec.fromAuth ?? spec.auth, signal, onProgress })
    base = await inspectImage(spec.from, signal)
  }
  if (base === undefined) throw new HiveError('not-found', `${spec.from} is not there after its pull`)
  await removeBuildContainer(spec, signal)
  const id = await startBuildContainer(spec, base.Config ?? {}, await proxies(), signal)
  try {
    await applyRoles({
      target: { kind: 'container', name: spec.name, containerId: id },
      roles: spec.roles,
      content: { sha256: spec.content.blobSha256, path: await context.blobPath(spec.content.blobSha256) },
      hostName: context.hostName,
      secrets: [...Object.values(spec.environment), spec.auth?.password ?? '', spec.fromAuth?.password ?? ''],
      signal,
      log,
    })
  } catch (thrown) {
    if (!(thrown instanceof HiveError) || thrown.code !== 'command-failed') throw thrown
    throw new HiveError(thrown.code, thrown.message, {
      hint: `the container ${buildContainerName(spec)} is left on ${context.hostName} to look into; the next build replaces it`,
      log: thrown.log,
      cause: thrown,
    })
  }
  log('committing')
  await commitBuildContainer(id, spec, base.Config ?? {}, signal)
  log(`pushing ${spec.repository}:${spec.contentTag}`)
  await pushImage(spec.repository, spec.contentTag, spec.auth, signal, log)
  await removeBuildContainer(spec, signal)
  await forgetOtherTags(spec.repository, spec.contentTag, signal)
}

/** The host's proxies, as builds need them to reach the outside. */
async function proxies(): Promise<Record<string, string>> {
  const text = await readFile('/etc/environment', 'utf8').catch(() => '')
  const pairs = text.split('\n').flatMap((line) => {
    const [, name, value] = /^\s*(?:export\s+)?(\w+)=["']?(.*?)["']?\s*$/.exec(line) ?? []
    return name !== undefined && value !== undefined && proxyVariables.test(name) ? [[name, value] as const] : []
  })
  return Object.fromEntries(pairs)
}
