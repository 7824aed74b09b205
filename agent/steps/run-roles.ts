/**
 * Roles were applied inside the running container of a service, or to this host. Done is what is recorded on this
 * host: the key of roles and variables, and for a service the container, because a new container has nothing of what
 * roles did to the old one's own files.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunRoles } from '#gen/hive/v1/steps_ansible.ts'
import { HiveError } from '../../proto/errors.ts'
import { applyRoles } from '../adapters/ansible.ts'
import type { ContainerListed } from '../adapters/docker/api-types.ts'
import { pause } from '../adapters/docker/wait.ts'
import { dockerGet } from '../adapters/docker.ts'
import { assertMayMutate } from '../adapters/gate.ts'
import { stateFolder } from '../adapters/state-folder.ts'
import { type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

/** How long a container may take to appear once the step is applied, milliseconds. */
const containerDeadline = 90_000

interface Applied {
  readonly key: string
  /** "" for a host. */
  readonly container: string
}

export const runRoles: Executor<RunRoles> = {
  exclusive: (spec) => (spec.inContainer ? `run-roles-${spec.target}` : 'run-roles-host'),

  async check(spec, context) {
    if (spec.always) return change('asked for', '', spec.roles.join(', '))
    return compare(spec, context)
  },

  async apply(spec, context) {
    if (spec.content === undefined) throw new HiveError('invalid-input', `${spec.target}: the step carries no content for Ansible`)
    const container = spec.inContainer ? await awaitContainer(spec.target, context) : ''
    await applyRoles({
      target: spec.inContainer ? { kind: 'container', name: spec.target, containerId: container } : { kind: 'host', name: spec.target },
      roles: spec.roles,
      content: { sha256: spec.content.blobSha256, path: await context.blobPath(spec.content.blobSha256) },
      hostName: context.hostName,
      secrets: [],
      signal: context.signal,
      log: (line) => context.log(line),
    })
    await record(spec, { key: spec.contentKey, container })
  },

  verify: (spec, context) => compare(spec, context),
}

async function compare(spec: RunRoles, { signal }: StepContext): Promise<CheckOutcome> {
  const roles = spec.roles.join(', ')
  const known = await recorded(spec)
  const container = spec.inContainer ? await runningContainer(spec.target, signal) : ''
  if (container === undefined) return change(`no container of ${spec.target} runs here yet`, '', roles)
  if (known === undefined) return change('not applied yet', '', roles)
  if (known.key !== spec.contentKey) return change('roles or variables changed since they were applied', '', roles)
  if (known.container !== container) return change('the container is new since they were applied', '', roles)
  return ok
}

/** The service's container on this host; of several the oldest, which is the one that was there the last time. */
async function runningContainer(service: string, signal: AbortSignal): Promise<string | undefined> {
  const filters = { label: [`com.docker.swarm.service.name=${service}`], status: ['running'] }
  const listed = await dockerGet<readonly (ContainerListed & { readonly Created?: number })[]>('/containers/json', { query: { filters }, signal }).catch(
    (thrown: unknown) => {
      if (thrown instanceof HiveError && thrown.code === 'unreachable') return []
      throw thrown
    },
  )
  return [...listed].sort((a, b) => (a.Created ?? 0) - (b.Created ?? 0) || a.Id.localeCompare(b.Id))[0]?.Id
}

async function awaitContainer(service: string, { signal, log }: StepContext): Promise<string> {
  const until = Date.now() + containerDeadline
  for (let told = false; ; told = true) {
    const found = await runningContainer(service, signal)
    if (found !== undefined) return found
    if (Date.now() > until)
      throw new HiveError('not-converged', `no container of ${service} runs on this host`, {
        hint: `hivecoord status and the log of ${service} tell why; then initialize-services again`,
      })
    if (!told) log(`waiting for a container of ${service}`)
    await pause(1_000, signal)
  }
}

const recordPath = (spec: RunRoles): string =>
  join(stateFolder(), 'applied-roles', `${spec.inContainer ? 'service' : `host-${spec.roles.join('+')}`}-${spec.target.replaceAll(/[^\w.+-]/g, '_')}.json`)

async function recorded(spec: RunRoles): Promise<Applied | undefined> {
  try {
    const { key, container } = JSON.parse(await readFile(recordPath(spec), 'utf8')) as Partial<Applied>
    return typeof key === 'string' && typeof container === 'string' ? { key, container } : undefined
  } catch {
    return undefined
  }
}

async function record(spec: RunRoles, applied: Applied): Promise<void> {
  const path = recordPath(spec)
  assertMayMutate(`write ${path}`)
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, `${JSON.stringify(applied)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
