/** What Zabbix has open for a stage. */
import type { ZabbixProblem } from '#gen/hive/v1/zabbix.ts'
import { HiveError } from '../../proto/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { Site } from '../inventory/site.ts'
import { swarmHostName } from './names.ts'
import { zabbixHere } from './zabbix-here.ts'

/** Milliseconds: a look at a site does not wait for its monitoring. */
const deadline = 5_000

export interface ProblemsInput {
  readonly site: Site
  readonly agents: Pick<SiteAgents, 'reach' | 'enrolled'>
  readonly signal: AbortSignal
}

/**
 * Of the stage's hosts and its swarm, the gravest first; undefined where the stage has no Zabbix of its own. Rejects with the HiveError for which it could not
 * be asked.
 */
export async function openProblems(input: ProblemsInput): Promise<readonly ZabbixProblem[] | undefined> {
  const within = AbortSignal.any([input.signal, AbortSignal.timeout(deadline)])
  const late = new Promise<never>((_resolve, reject) => {
    within.addEventListener('abort', () => reject(new HiveError('timeout', `no answer within ${deadline / 1000} s`)), { once: true })
  })
  return Promise.race([ask({ ...input, signal: within }), late])
}

async function ask({ site, agents, signal }: ProblemsInput): Promise<readonly ZabbixProblem[] | undefined> {
  const repository = site.hosts.find(({ isRepository }) => isRepository)?.name
  if (repository === undefined || !agents.enrolled(repository) || !(await zabbixHere(site)).runs) return undefined
  const client = await answering(agents, repository, signal)
  const { webPort, admin } = site.zabbix
  const request = { access: { port: webPort, ...admin }, hosts: [...site.hosts.map(({ name }) => name), swarmHostName(site)] }
  return (await client.maintenance.listProblems(request, { deadline, signal })).problems
}
