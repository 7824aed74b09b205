/** One host by hand: what it is, its units, its log, its certificate. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { release, uptime } from 'node:os'
import { join } from 'node:path'
import { HostServiceService, type InfoResponse } from '#gen/hive/v1/host.ts'
import { bootId } from '../adapters/systemd.ts'
import type { AgentConfig } from './config.ts'
import { readJournalLines } from './host/journal-lines.ts'
import { reboot } from './host/reboot.ts'
import { controlUnit, listUnits } from './host/units.ts'
import { whyNotRestart, whyRestart } from './host/why-restart.ts'
import { binarySha256 } from './identity.ts'
import { createRequest, expiryOf, installCertificate } from './pki.ts'
import { type ServiceRegistration, service } from './service.ts'

export function hostService(config: AgentConfig, started: Date, version: string, reloadCertificate: () => Promise<void>): ServiceRegistration {
  return service(HostServiceService, {
    info: () => info(config, started, version),
    inventory: async () => {
      // 320 KB of code and some hundred processes: only when asked.
      const system = await import('systeminformation')
      return { json: JSON.stringify(await system.getStaticData()) }
    },
    listUnits: async ({ failedOnly }) => ({ units: await listUnits(failedOnly) }),
    controlUnit: async ({ name, action }, { signal }) => ({ unit: await controlUnit(name, action, signal) }),
    readLog: (request, { signal }) => readJournalLines(request, signal),
    createCertificateRequest: async () => {
      const [short = config.host] = config.host.split('.')
      return { pem: await createRequest(config.pkiDir, { name: config.host, dns: [short], addresses: config.address === '' ? [] : [config.address] }, true) }
    },
    installCertificate: async ({ certificatePem, caPem }) => {
      const expires = await installCertificate(config.pkiDir, certificatePem, caPem)
      await reloadCertificate()
      return { expires }
    },
    reboot: (request, { signal }) => reboot(request, signal),
    restartNeeded: async (_request, { signal }) => {
      const [reasons, doubts] = await Promise.all([whyRestart(signal), whyNotRestart(signal)])
      return { reasons: [...reasons], doubts: [...doubts] }
    },
  })
}

async function info(config: AgentConfig, started: Date, version: string): Promise<InfoResponse> {
  const [os, certificate, binary, boot] = await Promise.all([osRelease(), readFile(join(config.pkiDir, 'cert.pem'), 'utf8'), binarySha256(), bootId()])
  const id = os.get('ID') ?? ''
  const kin = [id, ...(os.get('ID_LIKE') ?? '').split(' ')]
  return {
    host: config.host,
    version,
    binarySha256: binary,
    started,
    osId: id,
    osVersion: os.get('VERSION_ID') ?? '',
    osFamily: kin.includes('debian') ? 'debian' : kin.some((name) => ['rhel', 'fedora', 'centos'].includes(name)) ? 'el' : '',
    kernel: release(),
    uptimeSeconds: BigInt(Math.floor(uptime())),
    now: new Date(),
    certificateExpires: expiryOf(certificate),
    package: installedAs(),
    bootId: boot,
  }
}

/** By a file that only the package brings: package managers are slow to ask, and may be locked. */
function installedAs(): string {
  if (existsSync('/var/lib/dpkg/info/hive-agent.list')) return 'deb'
  return existsSync('/usr/share/licenses/hive-agent/LICENSE') ? 'rpm' : ''
}

/** KEY=VALUE lines, values perhaps quoted. */
async function osRelease(): Promise<Map<string, string>> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return new Map(
    text
      .split('\n')
      .flatMap((line) =>
        /^([A-Z_]+)=(.*)$/.exec(line) === null
          ? []
          : [[line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1).replace(/^(["'])(.*)\1$/, '$2')] as const],
      ),
  )
}
