/** All that look, in the order in which they begin. */
import { type AgentFacts, agentItself, hungStorage } from './collect/agent.ts'
import { backups } from './collect/backups.ts'
import { certificates } from './collect/certificates.ts'
import { disks } from './collect/disks.ts'
import { docker } from './collect/docker.ts'
import { drbd } from './collect/drbd.ts'
import { errorLines } from './collect/error-lines.ts'
import { fileSystems } from './collect/file-systems.ts'
import { innerUnits } from './collect/inner-units.ts'
import { load } from './collect/load.ts'
import { network } from './collect/network.ts'
import { pools } from './collect/pools.ts'
import { registryAnswers, registrySize } from './collect/registry.ts'
import { lastRuns, type RunFacts } from './collect/runs.ts'
import { selinux } from './collect/selinux.ts'
import { swarm } from './collect/swarm.ts'
import { system, systemFiles } from './collect/system.ts'
import { tasks } from './collect/tasks.ts'
import { units } from './collect/units.ts'
import { volumes } from './collect/volumes.ts'
import type { Collector } from './collector.ts'

export interface CollectorFacts {
  readonly agent: AgentFacts
  readonly runs: RunFacts
  readonly pkiDir: string
  /** Where backups are noted. */
  readonly backupNotes: string
}

export const allCollectors = ({ agent, runs, pkiDir, backupNotes }: CollectorFacts): readonly Collector[] => [
  agentItself(agent),
  lastRuns(runs),
  system,
  systemFiles,
  load(),
  fileSystems,
  disks(),
  network(),
  docker,
  swarm,
  tasks(),
  drbd,
  units,
  errorLines(),
  backups(backupNotes),
  registryAnswers(pkiDir),
  certificates(pkiDir),
  selinux(),
  hungStorage,
  volumes,
  innerUnits(),
  pools,
  registrySize,
]
