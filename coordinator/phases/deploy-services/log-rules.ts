/**
 * What makes a line of a service's log an error, on the repository server. Nothing waits for it, nor does it for anything: a pattern that is
 * refused keeps no service from running.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Site } from '../../inventory/site.ts'
import { logRule } from '../log-files/rule.ts'
import { type Limit, step } from '../phase.ts'

export function logRules(site: Site, limit: Limit): readonly Step[] {
  const repository = site.hosts.find((host) => host.isRepository)
  if (repository === undefined || limit.hosts?.has(repository.name) === false) return []
  const complete = limit.services === undefined
  const services = site.services.filter(({ name, stages }) => stages.includes(site.stage) && limit.services?.has(name) !== false)
  const all = services.map((service) => ({ service: service.name, content: logRule(service) }))
  const rules = all.flatMap(({ service, content }) => (content === undefined ? [] : [{ service, content }]))
  const absent = all.filter(({ content }) => content === undefined).map(({ service }) => service)
  return [
    step('deploy-services', 'log-rules', repository.name, rules.length === 0 ? 'no errors to look for in logs' : errorsOf(rules.length), 'ensureLogRules', {
      rules,
      absent,
      complete,
    }),
  ]
}

const errorsOf = (count: number): string => `errors to look for in logs of ${count} service${count === 1 ? '' : 's'}`
