/** DRBD's module and tools on a host. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { hostStep } from './host-step.ts'

export const drbdPackages = (site: Site, host: Host): readonly Step[] => {
  const text = (variable: string): string => {
    const value = site.variable(host.name, variable)
    return typeof value === 'string' ? value : ''
  }
  return [
    hostStep(
      host,
      'drbd-module',
      'DRBD 9',
      'ensureDrbdModule',
      { downloadUrl: text('hive_drbd_download_url'), kernelVersion: text('hive_kernel_version'), sourceUrl: text('hive_elrepo_url') },
      { after: ['packages'], timeoutSeconds: 1800 },
    ),
  ]
}
