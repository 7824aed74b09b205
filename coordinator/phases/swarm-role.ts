/** What a hive host is in the swarm. */
import type { Host } from '../inventory/site.ts'

/** The first hive makes the swarm and manages it whatever hive_swarm_mode says, which is for those that join. */
export const swarmRole = ({ isFirstHive, settings }: Pick<Host, 'isFirstHive' | 'settings'>): 'manager' | 'worker' =>
  isFirstHive ? 'manager' : settings.swarmMode

/** Inventory names of the hosts that can tell what is in the swarm and change it, in the inventory's order. */
export const managersOf = (hosts: readonly Pick<Host, 'name' | 'isHive' | 'isFirstHive' | 'settings'>[]): readonly string[] =>
  hosts.filter((host) => host.isHive && swarmRole(host) === 'manager').map(({ name }) => name)
