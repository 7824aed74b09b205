/** Names of backups are parts of file names in one folder: two of the same name would take each other's place. */
import type { ServiceDefinition } from './definitions.ts'
import type { Findings } from './problems.ts'
import type { Service } from './site.ts'
import { valueAt } from './yaml-source.ts'

/** What the repository server backs up of itself. */
export const ownBackupNames = ['hive-zabbix', 'hive-registry']

export function checkBackupNames(definitions: readonly ServiceDefinition[], services: readonly Service[], findings: Findings): void {
  const taken = new Map<string, string>()
  services.forEach((service, index) => {
    const definition = definitions[index]
    if (definition === undefined) return
    const at = valueAt(definition.source, 'backup_scripts')
    for (const { name } of service.backupScripts) {
      const other = taken.get(name)
      taken.set(name, service.name)
      const whose = ownBackupNames.includes(name) ? 'the repository server itself' : other
      if (whose !== undefined)
        findings.problem(
          at,
          `${definition.path}.backup_scripts`,
          `the name '${name}' is taken by ${whose}`,
          'give each backup of the stage a name of its own: it is its file’s name',
        )
    }
  })
}
