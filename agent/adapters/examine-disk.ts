/**
 * What a disk holds, from what the tools of util-linux say. Pure. Everything that is found is evidence; a disk without any is empty, and
 * only such a one is ever taken without having been named.
 */
import { HiveError } from '../../proto/errors.ts'

/** A line of `lsblk --json --bytes`, with all that lies on it. */
export interface BlockDevice {
  readonly name: string
  readonly type: string
  readonly sizeBytes: number
  readonly sectorBytes: number
  readonly readOnly: boolean
  readonly mountPoint: string
  readonly children: readonly BlockDevice[]
}

export interface PartitionTable {
  /** "gpt", "dos", or another of libfdisk's. */
  readonly kind: string
  /** Of GPT: the first and the last sector that a partition may have. */
  readonly firstSector: number | undefined
  readonly lastSector: number | undefined
  readonly partitions: readonly TableEntry[]
}

export interface TableEntry {
  readonly device: string
  readonly number: number
  readonly startSector: number
  readonly sectors: number
  /** GUID in capitals, or a hexadecimal number. */
  readonly type: string
  /** Of GPT; else ''. */
  readonly name: string
}

/** What was read of a disk and of each of its partitions. */
export interface DiskReadings {
  readonly device: string
  readonly block: BlockDevice
  readonly table: PartitionTable | undefined
  readonly signatures: readonly string[]
  /** The kernel refuses to give it to one user alone: something on it is mounted or held, in whatever namespace. */
  readonly claimed: boolean
  /** Signatures where a first partition would begin, by libblkid at 1 MiB. */
  readonly signaturesAtFirstMebibyte: readonly string[]
  /** Whether the first and the last MiB are zeros. Of a disk with a partition table not read, and true. */
  readonly blankEdges: boolean
  readonly partitions: ReadonlyMap<string, PartitionReadings>
}

export interface PartitionReadings {
  readonly signatures: readonly string[]
  readonly blankEdges: boolean
}

export interface Partition extends TableEntry {
  readonly signatures: readonly string[]
  /** Mounted, or the ground of another device. */
  readonly used: boolean
  readonly blankEdges: boolean
  /** For people. */
  readonly description: string
}

export interface Disk {
  readonly device: string
  readonly sizeBytes: number
  readonly sectorBytes: number
  readonly table: (Omit<PartitionTable, 'partitions'> & { readonly partitions: readonly Partition[] }) | undefined
  /** Why nothing can be added to it, whoever names it. */
  readonly occupied: readonly string[]
  /** What stays as it is when a partition is added behind it. */
  readonly kept: readonly string[]
  /** Traces that are no partition: data of an unknown kind, or of a partition that was taken out of the table. */
  readonly traces: readonly string[]
}

export const isEmpty = (disk: Disk): boolean => disk.occupied.length + disk.kept.length + disk.traces.length === 0

/** Signatures that wipefs finds of a partition table itself. */
const tableSignatures: Readonly<Record<string, readonly string[]>> = { gpt: ['gpt', 'PMBR'], dos: ['dos'] }

export function examineDisk(readings: DiskReadings): Disk {
  const { device, block, table, claimed } = readings
  const own = tableSignatures[table?.kind ?? ''] ?? []
  const foreign = readings.signatures.filter((signature) => !own.includes(signature))
  const known = new Set((table?.partitions ?? []).map((entry) => kernelName(entry.device)))
  const others = block.children.filter((child) => !known.has(child.name))
  const partitions = (table?.partitions ?? []).map((entry) => describe(entry, readings))
  const occupied = [
    ...(['disk', 'loop', 'raid0', 'raid1', 'raid10'].includes(block.type) ? [] : [`it is no disk but '${block.type}'`]),
    ...(block.readOnly ? ['it can only be read'] : []),
    ...(table !== undefined && own.length === 0 ? [`it has a partition table of the kind '${table.kind}'`] : []),
    ...foreign.map((signature) => `${signature} directly on it`),
    ...(block.mountPoint === '' ? [] : [`it is ${mountedAt(block.mountPoint)}`]),
    ...others.map((child) => `${child.type} ${child.name} on it${child.mountPoint === '' ? '' : `, ${mountedAt(child.mountPoint)}`}`),
  ]
  // What is mounted or held through a partition claims the disk too.
  if (claimed && occupied.length === 0 && partitions.length === 0) occupied.push('something holds it for itself alone')
  return {
    device,
    sizeBytes: block.sizeBytes,
    sectorBytes: block.sectorBytes,
    table: table === undefined ? undefined : { ...table, partitions },
    occupied,
    kept: partitions.map((partition) => partition.description),
    traces:
      foreign.length > 0 || partitions.length > 0
        ? []
        : [
            ...readings.signaturesAtFirstMebibyte.map((signature) => `${signature} at 1 MiB, where a partition was`),
            ...(readings.blankEdges ? [] : ['data of no known kind at its beginning or end']),
          ],
  }
}

function describe(entry: TableEntry, { block, partitions }: DiskReadings): Partition {
  const found = block.children.find((child) => child.name === kernelName(entry.device))
  const { signatures = [], blankEdges = false } = partitions.get(entry.device) ?? {}
  const holds = [
    ...(signatures.length === 0 ? ['nothing known'] : signatures),
    ...(found === undefined ? [] : [...(found.mountPoint === '' ? [] : [mountedAt(found.mountPoint)]), ...groundOf(found)]),
  ]
  const size = gibibytes(entry.sectors * block.sectorBytes)
  return {
    ...entry,
    signatures,
    blankEdges,
    used: found !== undefined && (found.mountPoint !== '' || found.children.length > 0),
    description: `partition ${entry.number} of ${size}: ${holds.join(', ')}`,
  }
}

/** Devices that lie on it, those first that are mounted; no more than tell what it is. */
function groundOf(device: BlockDevice): readonly string[] {
  const all = descendants(device)
  const ordered = [...all.filter(({ mountPoint }) => mountPoint !== ''), ...all.filter(({ mountPoint }) => mountPoint === '')]
  const texts = [...new Set(ordered.map(({ type, name, mountPoint }) => `${type} ${name}${mountPoint === '' ? '' : ` ${mountedAt(mountPoint)}`}`))]
  return texts.length <= 3 ? texts : [...texts.slice(0, 3), `${texts.length - 3} more`]
}

const descendants = ({ children }: BlockDevice): readonly BlockDevice[] => children.flatMap((child) => [child, ...descendants(child)])

const mountedAt = (place: string): string => (place === '[SWAP]' ? 'in use as swap' : `mounted at ${place}`)

export const gibibytes = (bytes: number): string => (bytes < 10 * 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`)

const kernelName = (device: string): string => device.slice(device.lastIndexOf('/') + 1)

type Json = Readonly<Record<string, unknown>>

function json(text: string, tool: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw new HiveError('invalid-input', `${tool} printed no JSON`, { cause, log: text.trimEnd().split('\n').slice(-5) })
  }
}

const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The devices of `lsblk --json --bytes --output NAME,TYPE,SIZE,RO,LOG-SEC,MOUNTPOINT`; the lsblk of EL8 has all values as text. */
export const parseLsblk = (output: string): readonly BlockDevice[] => list(json(output, 'lsblk')['blockdevices']).map(blockDevice)

const blockDevice = (row: Json): BlockDevice => ({
  name: text(row['name']),
  type: text(row['type']),
  sizeBytes: Number(row['size']),
  sectorBytes: Number(row['log-sec']),
  readOnly: row['ro'] === true || row['ro'] === '1',
  mountPoint: text(row['mountpoint']),
  children: list(row['children']).map(blockDevice),
})

/** The kinds that `wipefs --no-act --json --output TYPE` lists, each once. Without any it may print nothing at all. */
export const parseWipefs = (output: string): readonly string[] =>
  output.trim() === '' ? [] : [...new Set(list(json(output, 'wipefs')['signatures']).map((row) => text(row['type'])))]

/** The kind that `blkid -p -o export` found; none where it printed nothing. */
export const parseBlkid = (output: string): readonly string[] => [...output.matchAll(/^TYPE=(.*)$/gm)].map(([, kind = '']) => kind)

/** The table of `sfdisk --json`. */
export function parseSfdisk(output: string): PartitionTable {
  const table = json(output, 'sfdisk')['partitiontable'] as Json | undefined
  if (table === undefined) throw new HiveError('invalid-input', "sfdisk's JSON has no partition table")
  const sector = (key: string): number | undefined => (table[key] === undefined ? undefined : Number(table[key]))
  return {
    kind: text(table['label']),
    firstSector: sector('firstlba'),
    lastSector: sector('lastlba'),
    partitions: list(table['partitions']).map((row) => ({
      device: text(row['node']),
      number: Number(/\d+$/.exec(text(row['node']))?.[0] ?? 0),
      startSector: Number(row['start']),
      sectors: Number(row['size']),
      type: text(row['type']),
      name: text(row['name']),
    })),
  }
}
