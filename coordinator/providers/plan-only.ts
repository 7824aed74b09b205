/** Providers whose hosts this version can describe but not make: their plan shows what would be made, and that it is blocked. */
import { HiveError } from '../../proto/errors.ts'
import { identityFileOf } from '../bootstrap/stage-key.ts'
import type { PlannedStep } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import { hostNamed } from './host-named.ts'
import type { Provider, ProviderAction } from './provider.ts'

export interface PlanOnlyProvider extends Provider {
  /** The reason why nothing of the plan can be carried out. */
  blocked(site: Site): PlannedStep
}

export const isPlanOnly = (provider: Provider): provider is PlanOnlyProvider => 'blocked' in provider

const hint = 'use provider prepared with hosts made by other means, or nspawn for hosts on this machine'

const text = (value: unknown): string | undefined => (typeof value === 'string' || typeof value === 'number' ? String(value) : undefined)

/** What is known of the host's size and place, from the inventory alone. */
export function describeHost(host: Host, attributes: Readonly<Record<string, unknown>>): string {
  const { cpus, memoryMb, diskSizeGb, mirroredDiskSizeGb } = host.settings
  const parts = [
    `${host.address}/${host.prefixLength}`,
    host.zone,
    text(attributes['instance_type']),
    cpus === undefined ? undefined : `${cpus} CPUs`,
    memoryMb === undefined ? undefined : `${memoryMb} MB memory`,
    diskSizeGb === undefined ? undefined : `${diskSizeGb} GB disk`,
    mirroredDiskSizeGb === undefined ? undefined : `${mirroredDiskSizeGb} GB disk for mirrored volumes`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}

const refuse = (name: string): HiveError => new HiveError('unsupported', `provider ${name} is not available yet`, { hint })

/** Its plan asks nobody: it says what would be created, from the inventory. Everything else throws 'unsupported'. */
export function planOnlyProvider(name: string): PlanOnlyProvider {
  const action = (kind: string, host: string, title: string, after: string): ProviderAction => ({
    id: `${name}/${kind}@${host}`,
    host,
    title,
    reason: 'would be created; the account was not asked',
    before: 'not known',
    after,
    disruption: 0,
  })
  const never = (): Promise<never> => Promise.reject(refuse(name))
  return {
    name,
    plan: async ({ site }) => {
      const subnets = [...new Set(site.hosts.map(({ subnet }) => subnet))].filter((subnet) => subnet !== '')
      return [
        ...(name === 'kickstart'
          ? []
          : [action('network', '', `Create the network ${site.cidr}`, subnets.length === 0 ? site.cidr : `${site.cidr}, subnets ${subnets.join(', ')}`)]),
        ...site.hosts.map((host) =>
          action('host', host.name, name === 'kickstart' ? 'Make installation media for the host' : 'Create the host', describeHost(host, site.attributes)),
        ),
      ]
    },
    blocked: () => ({
      phase: 'build-infra',
      host: '',
      stepId: `${name}/available`,
      title: `Create hosts with provider ${name}`,
      outcome: { kind: 'blocked', reason: `provider ${name} is not available yet`, hint },
    }),
    status: async ({ site }) => new Map(site.hosts.map(({ name: host }) => [host, 'unknown' as const])),
    apply: never,
    halt: never,
    start: never,
    destroy: never,
    sshTarget: (site, name) => {
      const host = hostNamed(site, name)
      return {
        host: name,
        address: host.address,
        port: host.settings.sshdPort,
        user: host.settings.admin,
        identityFile: identityFileOf(site.contextDir),
        password: undefined,
      }
    },
  }
}
