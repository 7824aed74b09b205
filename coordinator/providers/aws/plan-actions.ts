/** Ids of what a plan can say, and how its actions are made. Pure. */
import { Disruption } from '#gen/hive/v1/step.ts'
import type { ProviderAction } from '../provider.ts'

export const ids = {
  vpc: 'aws/vpc',
  dns: 'aws/vpc-dns',
  gateway: 'aws/gateway',
  subnet: (name: string) => `aws/subnet/${name}`,
  routes: 'aws/routes',
  group: 'aws/security-group',
  rules: 'aws/security-rules',
  key: 'aws/key-pair',
  tags: 'aws/tags',
  create: (host: string) => `aws/instance@${host}`,
  start: (host: string) => `aws/start@${host}`,
  type: (host: string) => `aws/instance-type@${host}`,
  replace: (host: string) => `aws/replace@${host}`,
  joinGroup: (host: string) => `aws/security-group@${host}`,
  address: (host: string) => `aws/address@${host}`,
  disk: (host: string) => `aws/mirrored-disk@${host}`,
  keepDisk: (host: string) => `aws/keep-disk@${host}`,
  growRoot: (host: string) => `aws/root-disk-size@${host}`,
  growMirrored: (host: string) => `aws/mirrored-disk-size@${host}`,
} as const

export type Part = Omit<ProviderAction, 'host' | 'disruption' | 'before'> & Partial<Pick<ProviderAction, 'host' | 'disruption' | 'before'>>
export const action = (part: Part): ProviderAction => ({ host: '', before: 'absent', disruption: Disruption.UNSPECIFIED, ...part })

/** Something that can't be done as things are. */
export const blocked = (id: string, title: string, reason: string, hint: string, host = ''): ProviderAction =>
  action({ id, host, title, reason, before: '', after: '', blocked: { hint } })
