/** What LVM says of itself: `--reportformat json --units b --nosuffix`, typed. Pure. */
import { HiveError } from '../../proto/errors.ts'

export interface LogicalVolume {
  readonly volumeGroup: string
  readonly name: string
  readonly sizeBytes: bigint
  /** The thin pool that it takes its space from; without one it is thick. */
  readonly pool?: string
  readonly active: boolean
  /** How much of a thin volume has been written to; how full the space of a thick snapshot is. Only while it is active. */
  readonly dataPercent?: number
  /** Of a snapshot: the volume that it was taken of. */
  readonly origin?: string
}

export interface ThinPool {
  readonly volumeGroup: string
  readonly name: string
  readonly sizeBytes: bigint
  readonly metadataBytes: bigint
  /** Both only while it is active. */
  readonly dataPercent?: number
  readonly metadataPercent?: number
  readonly active: boolean
  /** LVM's word where something is wrong ("failed", "out_of_data", "metadata_read_only"), '' else. */
  readonly health: string
}

export interface VolumeGroup {
  readonly name: string
  readonly uuid: string
  readonly sizeBytes: bigint
  readonly freeBytes: bigint
  readonly extentBytes: bigint
  /** Logical volumes in it, pools too. */
  readonly volumes: number
  /** Physical volumes that it should have and that are not there. */
  readonly missing: number
  readonly exported: boolean
}

export interface PhysicalVolume {
  readonly device: string
  /** undefined: of no group. */
  readonly volumeGroup: string | undefined
  readonly deviceBytes: bigint
}

export const volumeFields = [
  'vg_name',
  'lv_name',
  'lv_size',
  'segtype',
  'pool_lv',
  'origin',
  'lv_active',
  'lv_metadata_size',
  'data_percent',
  'metadata_percent',
  'lv_health_status',
] as const
export const groupFields = ['vg_name', 'vg_uuid', 'vg_size', 'vg_free', 'vg_extent_size', 'lv_count', 'vg_missing_pv_count', 'vg_exported'] as const
export const physicalFields = ['pv_name', 'vg_name', 'dev_size'] as const

type Row = Readonly<Record<string, string>>

/** Rows of the report's one table. Throws 'invalid-input' where the text is no report. */
function rows(text: string, table: 'lv' | 'vg' | 'pv'): readonly Row[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new HiveError('invalid-input', 'LVM printed no JSON', { cause, log: text.trimEnd().split('\n').slice(-5) })
  }
  const reports = (value as { readonly report?: unknown }).report
  if (!Array.isArray(reports)) throw new HiveError('invalid-input', "LVM's JSON has no report")
  return reports.flatMap((report: Readonly<Record<string, readonly Row[] | undefined>>) => report[table] ?? [])
}

const bytes = (row: Row, key: string): bigint => {
  const text = row[key] ?? ''
  return /^\d+$/.test(text) ? BigInt(text) : 0n
}

const percent = <K extends string>(key: K, text = ''): { readonly [P in K]?: number } =>
  (text === '' || Number.isNaN(Number(text)) ? {} : { [key]: Number(text) }) as { readonly [P in K]?: number }

const isPool = (row: Row): boolean => row['segtype'] === 'thin-pool'

/** Every volume that can be seen, thin pools left out. A volume of several segments is one. */
export function parseVolumes(text: string): readonly LogicalVolume[] {
  const seen = new Map<string, LogicalVolume>()
  for (const row of rows(text, 'lv')) {
    const [volumeGroup = '', name = ''] = [row['vg_name'], row['lv_name']]
    if (isPool(row) || seen.has(`${volumeGroup}/${name}`)) continue
    seen.set(`${volumeGroup}/${name}`, {
      volumeGroup,
      name,
      sizeBytes: bytes(row, 'lv_size'),
      active: row['lv_active'] === 'active',
      ...(row['pool_lv'] ? { pool: row['pool_lv'] } : {}),
      ...(row['origin'] ? { origin: row['origin'] } : {}),
      ...percent('dataPercent', row['data_percent']),
    })
  }
  return [...seen.values()]
}

export const parsePools = (text: string): readonly ThinPool[] =>
  rows(text, 'lv')
    .filter(isPool)
    .map((row) => ({
      volumeGroup: row['vg_name'] ?? '',
      name: row['lv_name'] ?? '',
      sizeBytes: bytes(row, 'lv_size'),
      metadataBytes: bytes(row, 'lv_metadata_size'),
      active: row['lv_active'] === 'active',
      health: row['lv_health_status'] ?? '',
      ...percent('dataPercent', row['data_percent']),
      ...percent('metadataPercent', row['metadata_percent']),
    }))

export const parseGroups = (text: string): readonly VolumeGroup[] =>
  rows(text, 'vg').map((row) => ({
    name: row['vg_name'] ?? '',
    uuid: row['vg_uuid'] ?? '',
    sizeBytes: bytes(row, 'vg_size'),
    freeBytes: bytes(row, 'vg_free'),
    extentBytes: bytes(row, 'vg_extent_size'),
    volumes: Number(bytes(row, 'lv_count')),
    missing: Number(bytes(row, 'vg_missing_pv_count')),
    exported: row['vg_exported'] === 'exported',
  }))

export const parsePhysicalVolumes = (text: string): readonly PhysicalVolume[] =>
  rows(text, 'pv').map((row) => ({
    device: row['pv_name'] ?? '',
    volumeGroup: row['vg_name'] ? row['vg_name'] : undefined,
    deviceBytes: bytes(row, 'dev_size'),
  }))
