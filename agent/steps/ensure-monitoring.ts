import type { EnsureMonitoring } from '#gen/hive/v1/steps_monitoring.ts'
import { readFileState, removeFile, writeFileAtomic } from '../adapters/files.ts'
import { type MonitoringConfiguration, monitoringPath, parseMonitoring } from '../watchers/reporter/configuration.ts'
import { change, type Executor, ok } from './executor.ts'

/** It may hold a key. */
const privateFile = { mode: 0o600, uid: 0, gid: 0 }

export const monitoringExecutor = (path: string): Executor<EnsureMonitoring> => ({
  exclusive: () => `file:${path}`,

  async check(spec) {
    const state = await readFileState(path)
    if (spec.absent) return state === undefined ? ok : change('something is reported to Zabbix', path, '')
    if (state === undefined) return change('nothing is reported to Zabbix', '', inWords(spec))
    if (state.content.toString('utf8') !== render(spec)) return change('something else is reported to Zabbix', '', inWords(spec))
    const isPrivate = state.mode === privateFile.mode && state.uid === 0 && state.gid === 0
    return isPrivate ? ok : change(`${path} has another owner or mode`)
  },

  async apply(spec) {
    if (!spec.absent) await writeFileAtomic(path, render(spec), privateFile)
    else if ((await readFileState(path)) !== undefined) await removeFile(path)
  },
})

export const ensureMonitoring = monitoringExecutor(monitoringPath)

/** Always in the same bytes; read as the reporter will, so that it finds nothing it can't use. */
function render(spec: EnsureMonitoring): string {
  const configuration: MonitoringConfiguration = {
    server: spec.server,
    port: spec.port,
    encryption:
      spec.pskIdentity !== '' ? { kind: 'psk', identity: spec.pskIdentity, key: spec.psk } : spec.certificate ? { kind: 'certificate' } : { kind: 'none' },
    host: spec.host,
    swarmHost: spec.swarmHost,
    interval: spec.interval,
    repository: spec.repository,
    registryPort: spec.registryPort,
    ignoredUnits: spec.ignoredUnits,
    certificates: Object.fromEntries(Object.entries(spec.certificates).sort(([a], [b]) => (a < b ? -1 : 1))),
    passive: spec.passive,
  }
  const text = `${JSON.stringify(configuration, undefined, 2)}\n`
  parseMonitoring(text, 'the step')
  return text
}

/** Without the key. */
function inWords({ server, port, host, interval, pskIdentity, certificate, passive }: EnsureMonitoring): string {
  const encryption = pskIdentity !== '' ? `encrypted with the key ${pskIdentity}` : certificate ? 'encrypted with certificates' : 'not encrypted'
  const checks = passive === undefined ? '' : `; passive checks on port ${passive.port}`
  return `as ${host} to ${server}:${port} every ${interval} s, ${encryption}${checks}`
}
