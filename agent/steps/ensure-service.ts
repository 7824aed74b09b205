/** A swarm service is as asked for, and its tasks run. Carried out by a manager. */
import type { EnsureService } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { Network, Service } from '../adapters/docker/api-types.ts'
import { awaitConvergence } from '../adapters/docker/await-convergence.ts'
import { canonicalService, differences, type FieldDifference } from '../adapters/docker/compare-service.ts'
import { recentInfo, recentNetworks, recentService } from '../adapters/docker/recent.ts'
import { type FoundFiles, findFiles, makeFiles, removeUnusedFiles, usesFiles } from '../adapters/docker/service-files.ts'
import { toServiceSpec } from '../adapters/docker/service-spec.ts'
import { createService, findService, listTasks, removeService, updateService } from '../adapters/docker/services.ts'
import { waitFor } from '../adapters/docker/wait.ts'
import { isNotFound } from '../adapters/docker.ts'
import { blocked, type CheckOutcome, change, type Executor, ok } from './executor.ts'

const noDisruption = 0
const restart = 1
const goneTimeout = 120_000

export const ensureService: Executor<EnsureService> = {
  exclusive: (spec) => `service ${spec.name}`,

  async check(spec, context) {
    const { Swarm } = await recentInfo(context.signal)
    if (Swarm.LocalNodeState === 'inactive') return spec.absent ? ok : change('there is no swarm yet', '', spec.image)
    const existing = await recentService(spec.name, context.signal)
    if (spec.absent) return existing === undefined ? ok : change('is removed', existing.Spec.TaskTemplate.ContainerSpec?.Image ?? '', '', restart)
    if (existing === undefined)
      return change('does not exist', '', `${spec.image}, ${spec.mode === 'global' ? 'global' : `replicas ${spec.replicas ?? 1}`}`, noDisruption)
    const [networks, files] = await Promise.all([recentNetworks(context.signal), findFiles(spec.name, spec, context.signal)])
    return outcomeOf(spec, existing, differing(spec, existing, networks, files))
  },

  async apply(spec, context) {
    const { signal } = context
    const existing = await findService(spec.name, signal)
    if (spec.absent) {
      if (existing === undefined) return
      await removeService(spec.name, signal)
      // Containers stop after the service is gone; volumes and networks are in use until then.
      const gone = async () => ((await listTasks([existing.ID], signal).catch(noTasks)).length === 0 ? true : undefined)
      await waitFor(`the tasks of ${spec.name} to be gone`, gone, { signal, timeout: goneTimeout })
      await removeUnusedFiles(spec.name, undefined, signal)
      return
    }
    const files = await makeFiles(spec.name, spec, signal)
    if (existing === undefined) await createService(toServiceSpec(spec, undefined, files), { auth: spec.auth, signal })
    else if (differing(spec, existing, await recentNetworks(signal), files).length > 0)
      await updateService(spec.name, (now) => toServiceSpec(spec, now, files), { auth: spec.auth, signal })
    // Most services have none, before and after: docker is not asked for them.
    if (usesFiles(existing) || spec.secrets.length + spec.configs.length > 0) await removeUnusedFiles(spec.name, await findService(spec.name, signal), signal)
  },

  async verify(spec, context) {
    const { signal } = context
    const existing = await findService(spec.name, signal)
    if (spec.absent) return existing === undefined ? ok : change('is still there')
    if (existing === undefined) return change('does not exist')
    const files = await findFiles(spec.name, spec, signal)
    const found = differing(spec, existing, await recentNetworks(signal), files)
    if (found.length > 0) return outcomeOf(spec, existing, found)
    context.onlyWaits?.()
    if (spec.convergeSeconds === 0) return ok
    await awaitConvergence(existing.ID, spec.name, spec.convergeSeconds * 1000, context)
    // Tasks that failed may have made docker take the change back: what runs now is what was there before.
    const after = await findService(spec.name, signal)
    if (after?.UpdateStatus?.State?.startsWith('rollback') === true && differing(spec, after, await recentNetworks(signal), files).length > 0)
      throw new HiveError('not-converged', `docker took the change of service ${spec.name} back: ${after.UpdateStatus.Message ?? ''}`, {
        hint: `\`hivecoord ps ${spec.name} --all\` tells why its new tasks failed; what ran before runs again`,
      })
    return ok
  },
}

/** Docker refuses a filter by a service whose last task is gone. */
function noTasks(error: unknown): readonly never[] {
  if (isNotFound(error) || /service .* not found/.test(messageOf(error))) return []
  throw error
}

function differing(spec: EnsureService, existing: Service, networks: readonly Network[], files: FoundFiles): FieldDifference[] {
  const names = new Map(networks.map((network) => [network.Id, network.Name]))
  return differences(canonicalService(existing.Spec, names), canonicalService(toServiceSpec(spec, existing, files), names))
}

function outcomeOf(spec: EnsureService, existing: Service, found: readonly FieldDifference[]): CheckOutcome {
  const mode = found.find((difference) => difference.field === 'mode')
  if (mode !== undefined)
    return blocked(
      `is ${mode.before}, asked for is ${mode.after}: docker cannot change that in place`,
      `docker service rm ${spec.name} on a manager when it may be gone for a moment, then run again`,
    )
  if (found.length > 0)
    return change(
      `other ${found.map((difference) => difference.field).join(', ')}`,
      found.map((difference) => `${difference.field}: ${difference.before || 'none'}`).join('; '),
      found.map((difference) => `${difference.field}: ${difference.after || 'none'}`).join('; '),
      found.some((difference) => difference.restarts) ? restart : noDisruption,
    )
  const { RunningTasks: running = 0, DesiredTasks: desired = 0 } = existing.ServiceStatus ?? {}
  const condition = existing.Spec.TaskTemplate.RestartPolicy?.Condition
  // A service that is as asked for but does not run is not done: applying waits for it, and says why it does not come.
  if (spec.convergeSeconds > 0 && running < desired && (condition === undefined || condition === '' || condition === 'any'))
    return change(`only ${running} of ${desired} tasks run`, `${running} tasks run`, `${desired} tasks run`, noDisruption)
  return ok
}
