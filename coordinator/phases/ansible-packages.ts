/** Ansible, on a host that is to apply roles. With it comes the connection into containers. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { PhaseName } from '../events.ts'
import { step } from './phase.ts'

export const ansiblePackages = (phase: PhaseName, host: string): Step =>
  step(phase, 'ansible', host, 'install Ansible', 'ensurePackages', { apt: ['ansible'], dnf: ['ansible'], absent: [], hold: [] })
