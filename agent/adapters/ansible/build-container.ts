/** The container that an image is built in, from its making to the commit. */
import type { BuildImage } from '#gen/hive/v1/steps_ansible.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { ImageConfig } from '../docker/api-types.ts'
import { dockerDelete, dockerGet, dockerPost, orUndefined } from '../docker.ts'

/** On the container and so on the image: the content tag it was built for. */
const label = 'hive.build'

/** Sleeps for as long as the build lasts, and ends at once when it is stopped by whatever signal the image is to have. */
const sleeper = "trap 'exit 0' INT TERM QUIT HUP USR1 USR2 WINCH; while :; do sleep 3600 & wait $!; done"

export const buildContainerName = (spec: Pick<BuildImage, 'name'>): string => `build_${spec.name}`

interface Inspected {
  readonly Id: string
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null }
  readonly State?: { readonly Running?: boolean; readonly ExitCode?: number; readonly Error?: string }
}

const inspect = (name: string, signal: AbortSignal): Promise<Inspected | undefined> =>
  orUndefined(dockerGet<Inspected>(`/containers/${encodeURIComponent(name)}/json`, { signal }))

/** Removes what an earlier build left: builds begin from the base image, so that what a role no longer does is gone. */
export async function removeBuildContainer(spec: BuildImage, signal: AbortSignal): Promise<void> {
  const found = await inspect(buildContainerName(spec), signal)
  if (found === undefined) return
  await orUndefined(dockerDelete(`/containers/${found.Id}`, { query: { force: 'true', v: 'true' }, signal }))
}

/** The body of docker's create request. `proxies` are the host's proxy variables; the image's own win. */
export function createBody(spec: BuildImage, base: ImageConfig, proxies: Readonly<Record<string, string>>): Record<string, unknown> {
  const environment = { ...proxies, ...spec.environment }
  return {
    Image: spec.from,
    Hostname: spec.service,
    Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
    Labels: { [label]: spec.contentTag },
    ...startOf(spec, base),
    ...(spec.user === '' ? {} : { User: spec.user }),
    ...(spec.workingDir === '' ? {} : { WorkingDir: spec.workingDir }),
    ...(spec.stopSignal === '' ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.expose.length === 0 ? {} : { ExposedPorts: Object.fromEntries(spec.expose.map((port) => [exposedPort(port), {}])) }),
    HostConfig: {
      Privileged: spec.privileged || spec.standalone,
      ExtraHosts: Object.entries(spec.extraHosts).map(([name, address]) => `${name}:${address}`),
      ...(spec.standalone ? { Tmpfs: { '/run': '', '/tmp': '' } } : {}),
    },
  }
}

/** A standalone image boots by itself; one made from a bare root file system, which names no start, by its init. */
function startOf(spec: BuildImage, base: ImageConfig): Record<string, unknown> {
  if (!spec.standalone) return { Entrypoint: [], Cmd: ['/bin/sh', '-c', sleeper] }
  const startsItself = (base.Entrypoint?.length ?? 0) > 0 || (base.Cmd?.length ?? 0) > 0
  return startsItself ? {} : { Cmd: ['/sbin/init'] }
}

/** Makes and starts it; answers its id. */
export async function startBuildContainer(
  spec: BuildImage,
  base: ImageConfig,
  proxies: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const created = await dockerPost<{ readonly Id: string }>('/containers/create', {
    query: { name: buildContainerName(spec) },
    body: createBody(spec, base, proxies),
    signal,
  })
  try {
    await dockerPost(`/containers/${created.Id}/start`, { signal })
  } catch (thrown) {
    if ((spec.privileged || spec.standalone) && /operation not permitted|permission denied|rlimit|oom_score/i.test(messageOf(thrown)))
      throw new HiveError('unsupported', `${spec.name} is built in a privileged container, and this host's docker can't start one: ${messageOf(thrown)}`, {
        hint: 'build on a host where docker has all capabilities, or with docker 26 or newer',
        cause: thrown,
      })
    throw thrown
  }
  const state = (await inspect(created.Id, signal))?.State
  if (state?.Running !== true)
    throw new HiveError(
      'command-failed',
      `the container of ${spec.name} ended at once (exit code ${state?.ExitCode ?? '?'})${state?.Error ? `: ${state.Error}` : ''}`,
      {
        hint: `a base image needs /bin/sh${spec.standalone ? ' and an init' : ''}`,
      },
    )
  return created.Id
}

/** What a commit changes, as Dockerfile instructions: the sleeping shell goes, the image's own start comes back. */
export function commitChanges(spec: BuildImage, base: ImageConfig): readonly string[] {
  const changes: string[] = []
  if (!spec.standalone) {
    const inherited = base.Entrypoint ?? []
    const entrypoint = spec.hasEntrypoint ? spec.entrypoint : inherited.length > 0 ? inherited : ['/bin/sh', '-c', 'exec "$@"', '--']
    const command = spec.hasCommand ? spec.command : (base.Cmd ?? [])
    changes.push(`ENTRYPOINT ${JSON.stringify(entrypoint)}`, `CMD ${JSON.stringify(command)}`)
  }
  if (spec.workingDir !== '') changes.push(`WORKDIR ${spec.workingDir}`)
  for (const port of spec.expose) changes.push(`EXPOSE ${exposedPort(port)}`)
  return changes
}

/** Stops it and makes the image from it, under this tag. */
export async function commitBuildContainer(id: string, spec: BuildImage, base: ImageConfig, signal: AbortSignal): Promise<void> {
  // systemd takes SIGTERM for something else; this is its signal to power off.
  if (spec.standalone && spec.stopSignal === '') await dockerPost(`/containers/${id}/kill`, { query: { signal: 'SIGRTMIN+3' }, signal })
  await dockerPost(`/containers/${id}/stop`, { query: { t: spec.standalone ? '30' : '5' }, signal, timeout: 60_000 })
  const changes = commitChanges(spec, base)
  await dockerPost('/commit', {
    // Docker refuses an empty list of changes.
    query: { container: id, repo: spec.repository, tag: spec.contentTag, ...(changes.length === 0 ? {} : { changes: changes.join('\n') }) },
    signal,
    timeout: 600_000,
  })
}

const exposedPort = (port: string): string => (port.includes('/') ? port : `${port}/tcp`)
