/** What hosts and groups are called in Zabbix. */
import { stagePrefix } from '../inventory/hosts.ts'
import type { Site } from '../inventory/site.ts'

/** What belongs to a site as a whole and to none of its hosts. */
export const swarmHostName = ({ stage, name }: Pick<Site, 'stage' | 'name'>, site = name): string => `${stagePrefix(stage)}swarm.${site}`

/** All of one site and stage; also the group that alerts and rights go by. */
export const siteGroup = ({ stage, name }: Pick<Site, 'stage' | 'name'>, site = name): string => `Hive/${site}-${stage}`

export const hivesGroup = 'Hives'
export const repositoryGroup = 'Repository server'
