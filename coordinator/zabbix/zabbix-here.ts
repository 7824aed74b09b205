/** Whether the repository server runs Zabbix, and where agents report to. */
import { archivedImage, siteArchives } from '../ansible/archives.ts'
import type { Site } from '../inventory/site.ts'

export interface ZabbixHere {
  readonly runs: boolean
  /** Why it does not where nothing in the inventory says so. */
  readonly notice: string | undefined
}

/**
 * As hive_zabbix says. Where it says nothing: everywhere but in a private stage of this machine, which has no way to a hub for images
 * that the site does not ship.
 */
export async function zabbixHere(site: Site): Promise<ZabbixHere> {
  const { wanted, images, elsewhere } = site.zabbix
  if (wanted !== undefined) return { runs: wanted, notice: undefined }
  if (elsewhere !== undefined) return { runs: false, notice: undefined }
  if (site.effectiveProvider !== 'nspawn') return { runs: true, notice: undefined }
  const archives = await siteArchives(site)
  const missing = [...new Set([images.server, images.web, images.db])].filter((reference) => archivedImage(archives, reference) === undefined)
  if (missing.length === 0) return { runs: true, notice: undefined }
  return {
    runs: false,
    notice: `no Zabbix in this private stage: the site does not ship ${missing.join(', ')} (hive_zabbix: True asks for it all the same, False for this remark to go)`,
  }
}

export interface ReportTarget {
  readonly address: string
  readonly port: number
  readonly psk: Site['zabbix']['psk']
}

/** Where the site's agents send values; undefined: nowhere. */
export async function reportTarget(site: Site): Promise<ReportTarget | undefined> {
  const { elsewhere, serverPort, psk } = site.zabbix
  if (elsewhere !== undefined) return { ...elsewhere, psk }
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  if (repository === undefined || !(await zabbixHere(site)).runs) return undefined
  return { address: repository.address, port: serverPort, psk }
}
