/** docs/inventory-reference.md as a whole: what the inventory's files may have, in tables. Pure. */
import type { Entry } from './entry.ts'
import {
  backupReference,
  drbdReference,
  fileReference,
  healthcheckReference,
  imageReference,
  networkReference,
  nfsReference,
  placementReference,
  portReference,
  restartReference,
  updateReference,
  volumeReference,
} from './parts.ts'
import { serviceReference } from './service.ts'
import { stageReference } from './stage.ts'
import { awsVariables, generalVariables, mirroringVariables, monitoringVariables, nspawnVariables } from './variables.ts'

interface Section {
  readonly heading: string
  readonly text: string
  readonly entries: Readonly<Record<string, Entry>>
}

const sections: readonly Section[] = [
  {
    heading: '## The hive definition',
    text: '`inventory/*.yml` with `plugin: hive_inventory`, `name` (a domain name) and `stages`: `private`, `staging`, `production`, each with these attributes. "literal" means that a template is not possible. Where the meaning is in brackets, the value is read and checked, is a variable for roles, and has no other effect.',
    entries: stageReference,
  },
  {
    heading: '## Services',
    text: "`inventory/*.yml` with `plugin: hive_services`, `services`, `networks`, and `available_on` (stages, for all of the file). A service's name is its host name too: letters, digits, hyphens, and not `hive-…`.",
    entries: serviceReference,
  },
  { heading: '### An image that is built', text: '`image` as a mapping; see [images.md](images.md).', entries: imageReference },
  { heading: '### A port', text: 'Of `ports`. The short form is `"[published:]target[/tcp|udp|sctp]"`, always in quotes.', entries: portReference },
  {
    heading: '### A volume',
    text: 'Of `volumes`. A volume that several services use is defined at one of them; the others name source, target and type. One of `driver`, `drbd` and `nfs` at most.',
    entries: volumeReference,
  },
  {
    heading: '#### A mirrored volume',
    text: '`drbd` of a volume; see [volumes.md](volumes.md) and [inventory.md](inventory.md#mirrored-volumes).',
    entries: drbdReference,
  },
  { heading: '#### A shared volume', text: '`nfs` of a volume; see [aws.md](aws.md). With providers other than aws a plan is blocked.', entries: nfsReference },
  { heading: '### Placement', text: '`placement`.', entries: placementReference },
  { heading: '### A health check', text: '`healthcheck`. Durations are written as `90s` or `1m30s`.', entries: healthcheckReference },
  { heading: '### restart_config', text: 'When a task that ended is started again.', entries: restartReference },
  { heading: '### update_config and rollback_config', text: 'How tasks are replaced, and how that is taken back.', entries: updateReference },
  { heading: '### A secret or config', text: 'Of `secrets` and `configs`; see [inventory.md](inventory.md#secrets-and-configs).', entries: fileReference },
  { heading: '### A backup script', text: 'Of `backup_scripts`; see [backup.md](backup.md#what-to-write).', entries: backupReference },
  {
    heading: '## Networks',
    text: 'Of `networks` in a file with `plugin: hive_services`. A network is a name with nothing, or with these.',
    entries: networkReference,
  },
  {
    heading: '## Variables',
    text: 'In `inventory/group_vars/GROUP.yml` and `inventory/host_vars/NAME.yml`: those that the program acts on. All others are for templates and roles. [inventory.md](inventory.md#variables) tells which of several values counts.',
    entries: generalVariables,
  },
  {
    heading: '### Of monitoring',
    text: 'Of the repository server, where not said otherwise; see [monitoring.md](monitoring.md).',
    entries: monitoringVariables,
  },
  { heading: '### Of mirrored volumes', text: 'See [volumes.md](volumes.md).', entries: mirroringVariables },
  { heading: '### Of provider aws', text: 'See [aws.md](aws.md).', entries: awsVariables },
  { heading: '### Of provider nspawn', text: 'See [lab.md](lab.md).', entries: nspawnVariables },
]

const cell = (text: string): string => text.replace(/(?<!\\)\|/g, '\\|')
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`

const lineOf = ([key, { type, otherwise, meaning, example, ours }]: readonly [string, Entry]): string =>
  row(`\`${key}\`${ours ? ' *' : ''}`, type, otherwise, meaning, `\`${example}\``)

const introduction = `# Inventory reference

Every key of the inventory's files, and every variable that the program acts on. [inventory.md](inventory.md) is the guide to them. Names are hive-builder's; those with a * are not.
\`hivecoord inventory check\` tells all that is wrong with an inventory, with file, line and column.

This page is made from the program's own tables by \`npm run docs\`.
`

/** Names of all keys and variables that the page has. */
export const referenceNames: ReadonlySet<string> = new Set(sections.flatMap(({ entries }) => Object.keys(entries)))

export const referenceExamples: readonly (readonly [key: string, example: string])[] = sections.flatMap(({ entries }) =>
  Object.entries(entries).map(([key, { example }]) => [key, example] as const),
)

export const inventoryReference = (): string =>
  [
    introduction,
    ...sections.map(({ heading, text, entries }) =>
      [heading, '', text, '', row('key', 'type', 'default', 'meaning', 'example'), `|${'---|'.repeat(5)}`, ...Object.entries(entries).map(lineOf), ''].join(
        '\n',
      ),
    ),
  ].join('\n')
