/** Where a service runs. */
import { eventually, patience } from './eventually.ts'
import type { LabSite } from './lab-site.ts'

/** The host where a service's only task runs, as a manager sees it; undefined while it runs nowhere. Managers that elect a leader are asked again. */
export async function taskHost(site: LabSite, service: string, manager: string): Promise<string | undefined> {
  const command = `docker service ps ${service} --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'`
  const said = await eventually('the swarm has a leader', patience, () => site.onHost(manager, command, 30_000).catch(unlessElecting))
  const [node, state] = said.trim().split('\n')[0]?.split(' ') ?? []
  return state === 'Running' ? `${node}${manager.slice(manager.indexOf('.'))}` : undefined
}

function unlessElecting(error: unknown): undefined {
  if (!/does not have a leader|DeadlineExceeded/.test(String(error))) throw error
}
