/** The roles in initialize_roles are applied inside a running container of their service, on the host that has it. */

import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { ansibleContent } from '../ansible/content.ts'
import { rolesKey } from '../ansible/content-tag.ts'
import { missingRoles } from '../ansible/missing-roles.ts'
import { type Blob, type FactSource, type Limit, type Phase, type PhaseInput, type PhaseSteps, type Service, type Site, step } from './phase.ts'

const phase = 'initialize-services'

/** Loading a database may take its time. */
const roleSeconds = 1800

/** Service → inventory name of the host where it is to be initialized; absent while it runs nowhere. */
export type InitializeFacts = ReadonlyMap<string, string>

export const initializeServices: Phase<InitializeFacts> = {
  name: phase,

  async gather(source: FactSource): Promise<InitializeFacts> {
    const services = wantedServices(source.site, source.limit)
    const found = await Promise.all(services.map(async ({ name }) => [name, await source.runningTask(name)] as const))
    return new Map(found.flatMap(([name, task]) => (task === undefined ? [] : [[name, task.host] as const])))
  },

  async steps({ site, limit, facts, reapplyRoles }: PhaseInput<InitializeFacts>): Promise<PhaseSteps> {
    const services = wantedServices(site, limit)
    const firstHive = site.hosts.find((host) => host.isFirstHive)
    if (services.length === 0) return { steps: [], blobs: new Map(), notices: [] }
    if (firstHive === undefined) throw new HiveError('internal', 'the stage has no hive')
    const steps: Step[] = []
    const blobs = new Map<string, Map<string, Blob>>()
    const notices: string[] = []
    const unsupported: string[] = []
    for (const service of services) {
      const host = facts.get(service.name)
      if (host === undefined) notices.push(`${service.name} does not run yet; where its roles are applied is decided when it does`)
      const at = host ?? firstHive.name
      if (limit.hosts !== undefined && !limit.hosts.has(at)) continue
      unsupported.push(...(await missingRoles(site, service.name, service.initializeRoles)))
      const { content, blob } = await ansibleContent(site, service.initializeRoles)
      const ofHost = blobs.get(at) ?? new Map<string, Blob>()
      blobs.set(at, ofHost.set(blob.sha256, blob))
      const value = {
        target: service.name,
        inContainer: true,
        roles: [...service.initializeRoles],
        content,
        contentKey: await rolesKey(site, service.name, service.initializeRoles),
        always: reapplyRoles === true,
      }
      const title = `initialize ${service.name} (${service.initializeRoles.join(', ')})`
      steps.push(step(phase, service.name, at, title, 'runRoles', value, { timeoutSeconds: roleSeconds }))
    }
    return { steps, blobs: new Map([...blobs].map(([host, of]) => [host, [...of.values()]])), notices, unsupported }
  },
}

const wantedServices = (site: Site, limit: Limit): readonly Service[] =>
  site.services.filter(
    (service) =>
      service.stages.includes(site.stage) && service.initializeRoles.length > 0 && (limit.services === undefined || limit.services.has(service.name)),
  )
