/**
 * On which disk a new volume group comes to lie. Pure. What an earlier run began is taken up first; then comes the first candidate that is
 * empty; then, of those that the operator named, the first with free space behind its last partition. Nothing else is ever chosen.
 */
import { type Disk, gibibytes, isEmpty, type Partition } from '../adapters/examine-disk.ts'
import { lvmPartitionType, type NewPartition, partitionDevice } from '../adapters/partition-names.ts'

export interface Candidate {
  /** As the inventory names it. */
  readonly path: string
  /** undefined: it does not exist, or it could not be looked at. */
  readonly disk: Disk | undefined
  /** Why it could not be looked at. */
  readonly trouble?: string
}

export interface Wish {
  readonly volumeGroup: string
  /** The kind of table that a disk without one gets. */
  readonly table: 'gpt' | 'dos'
  /** Resolved devices that the operator named. */
  readonly named: ReadonlySet<string>
  /** Physical volumes that belong to no group. */
  readonly orphans: ReadonlySet<string>
}

export type Choice =
  | { readonly kind: 'resume'; readonly disk: Disk; readonly partition: Partition }
  | { readonly kind: 'partition'; readonly disk: Disk; readonly partition: NewPartition; readonly kept: readonly string[] }
  | { readonly kind: 'none'; readonly evidence: readonly string[]; readonly nameable: readonly string[] }

const mebibyte = 2 ** 20
/** Bytes: less is no place for volumes. */
const smallest = 100 * mebibyte
/** GPT's second copy lies in the last sectors; parted counts them as 34 for every kind of table. */
const reservedSectors = 34
/** A table of the kind "dos" counts sectors in 32 bits, and has room for four partitions. */
const dosSectors = 2 ** 32
const dosPartitions = 4
const gptPartitions = 128

export function chooseDisk(candidates: readonly Candidate[], wish: Wish): Choice {
  const disks = candidates.flatMap(({ disk }) => (disk === undefined ? [] : [disk])).filter((disk, index, all) => firstOf(all, disk) === index)
  for (const disk of disks) {
    const partition = disk.table?.partitions.find((one) => isBegun(one, disk, wish))
    if (partition !== undefined) return { kind: 'resume', disk, partition }
  }
  const usable = [...disks.filter(isEmpty), ...disks.filter((disk) => !isEmpty(disk) && wish.named.has(disk.device) && disk.occupied.length === 0)]
  for (const disk of usable) {
    const partition = freeTail(disk, wish)
    if (typeof partition !== 'string') return { kind: 'partition', disk, partition, kept: disk.kept }
  }
  return {
    kind: 'none',
    evidence: candidates.map(({ path, disk, trouble = 'is not there' }) =>
      disk === undefined ? `${path} ${trouble}` : `${called(path, disk)}: ${whyNot(disk, wish)}`,
    ),
    nameable: disks
      .filter((disk) => !wish.named.has(disk.device) && disk.occupied.length === 0 && typeof freeTail(disk, wish) !== 'string')
      .map((disk) => disk.device),
  }
}

const firstOf = (all: readonly Disk[], disk: Disk): number => all.findIndex((other) => other.device === disk.device)
const called = (path: string, disk: Disk): string => (path === disk.device ? path : `${path} (${disk.device})`)

function whyNot(disk: Disk, wish: Wish): string {
  if (disk.occupied.length > 0) return disk.occupied.join('; ')
  const place = freeTail(disk, wish)
  return [...disk.kept, ...disk.traces, ...(typeof place === 'string' ? [place] : [])].join('; ')
}

/** What a partition that is made for this group is called in a table that has names (36 characters at most). */
const mark = (volumeGroup: string): string => `hive ${volumeGroup}`.slice(0, 36)

/**
 * Whether an earlier run made this partition and was stopped before the group was there. GPT keeps our name for it. In a table without
 * names it is one that lies exactly where we would lay it, and holds nothing at all.
 */
function isBegun(partition: Partition, disk: Disk, wish: Wish): boolean {
  if (disk.occupied.length > 0 || disk.table === undefined || partition.used || !isLvm(partition, disk.table.kind)) return false
  const isOrphan = wish.orphans.has(partition.device) && partition.signatures.every((signature) => signature === 'LVM2_member')
  if (partition.signatures.length > 0 && !isOrphan) return false
  if (disk.table.kind === 'gpt') return partition.name === mark(wish.volumeGroup)
  const before = disk.table.partitions.filter((other) => other !== partition)
  if (before.length > 0 && !wish.named.has(disk.device)) return false
  const place = freeTail({ ...disk, table: { ...disk.table, partitions: before } }, wish)
  return (
    typeof place !== 'string' &&
    place.startSector === partition.startSector &&
    place.sectors === partition.sectors &&
    (isOrphan || partition.blankEdges || wish.named.has(disk.device))
  )
}

const isLvm = ({ type }: Partition, table: string): boolean => type.toUpperCase() === lvmPartitionType[table === 'gpt' ? 'gpt' : 'dos'].toUpperCase()

/** The partition that fits behind all that are there, or why none does. */
function freeTail(disk: Disk, wish: Wish): NewPartition | string {
  const { table, sectorBytes } = disk
  const kind = table === undefined ? wish.table : table.kind === 'gpt' ? 'gpt' : 'dos'
  const partitions = table?.partitions ?? []
  const perMebibyte = mebibyte / sectorBytes
  const behind = Math.max(perMebibyte, table?.firstSector ?? 0, ...partitions.map(({ startSector, sectors }) => startSector + sectors))
  const start = Math.ceil(behind / perMebibyte) * perMebibyte
  const limit = Math.min(
    Math.floor(disk.sizeBytes / sectorBytes) - reservedSectors,
    kind === 'gpt' && table?.lastSector !== undefined ? table.lastSector + 1 : Number.POSITIVE_INFINITY,
    kind === 'dos' ? dosSectors : Number.POSITIVE_INFINITY,
  )
  const sectors = Math.floor(limit / perMebibyte) * perMebibyte - start
  const free = Math.max(0, sectors * sectorBytes)
  if (free < smallest) return `${gibibytes(free)} free behind it, which is too little`
  const numbers = new Set(partitions.map(({ number }) => number))
  const most = kind === 'gpt' ? gptPartitions : dosPartitions
  const number = Array.from({ length: most }, (_, index) => index + 1).find((one) => !numbers.has(one))
  if (number === undefined) return `its partition table has no place for another one`
  return {
    disk: disk.device,
    device: partitionDevice(disk.device, number),
    startSector: start,
    sectors,
    type: lvmPartitionType[kind],
    name: kind === 'gpt' ? mark(wish.volumeGroup) : '',
    newTable: table === undefined ? wish.table : undefined,
  }
}
