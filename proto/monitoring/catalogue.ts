/** All that is watched. Agents send it, the coordinator makes Zabbix' templates of it; docs/monitoring.md lists it. */
import { agentItems, agentMacros, agentTriggers, LINUX } from './agent.ts'
import { defineFor } from './define.ts'
import { hostItems, hostMacros, hostTriggers } from './linux-host.ts'
import { partDiscoveries, partItems, partMacros, partTriggers } from './linux-parts.ts'
import { storageDiscoveries, storageMacros } from './linux-storage.ts'
import { repositoryTemplate } from './repository.ts'
import { serverTemplate } from './server.ts'
import { swarmTemplate } from './swarm.ts'
import type { Template } from './types.ts'

/** Every server has it. */
export const linuxTemplate: Template = defineFor(LINUX).template({
  description: 'Any host with hive-agent: the agent, the system, file systems, network, systemd, docker, certificates.',
  macros: [...agentMacros, ...hostMacros, ...storageMacros, ...partMacros],
  items: [...agentItems, ...hostItems, ...partItems],
  discoveries: [...storageDiscoveries, ...partDiscoveries],
  triggers: [...agentTriggers, ...hostTriggers, ...partTriggers],
})

export { repositoryTemplate, serverTemplate, swarmTemplate }

/** A template comes after those that its triggers depend on. */
export const templates: readonly Template[] = [linuxTemplate, serverTemplate, repositoryTemplate, swarmTemplate]
