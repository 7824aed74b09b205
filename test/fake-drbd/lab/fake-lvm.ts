/**
 * A FAKE of LVM's commands, for hosts whose kernel has no device-mapper: one host's volume groups as data. It knows the commands and options
 * that the agent uses, in LVM's own words, and refuses any other loudly. Pure: what has to happen to files and devices comes out as effects.
 */

const extent = 4 << 20
const MiB = 1 << 20

export interface FakeVolume {
  readonly group: string
  readonly name: string
  readonly bytes: number
  readonly pool: string
  readonly origin: string
  readonly tags: readonly string[]
  readonly active: boolean
}

export type LvmEffect =
  | { readonly kind: 'made'; readonly volume: FakeVolume }
  /** Size, tags or activation are now as told. */
  | { readonly kind: 'changed'; readonly volume: FakeVolume }
  | { readonly kind: 'removed'; readonly volume: FakeVolume }

export interface LvmAnswer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly effects: readonly LvmEffect[]
}

export interface LvmState {
  readonly groups: readonly { readonly name: string; readonly bytes: number; readonly disk: string; readonly pools: readonly string[] }[]
  readonly volumes: readonly FakeVolume[]
}

/** One disk, one group with a pool on all of it: as EnsureVolumeGroup leaves a host. */
export const groupAtStart: LvmState = { groups: [{ name: 'drbdvg', bytes: 16 * 1024 * MiB, disk: '/dev/fakedisk1', pools: ['drbdpool'] }], volumes: [] }

export const lvmTools = ['vgs', 'lvs', 'pvs', 'lvcreate', 'lvextend', 'lvresize', 'lvremove', 'lvchange', 'lvrename', 'vgchange'] as const
export type LvmTool = (typeof lvmTools)[number]

/** What only the device knows. */
export interface VolumeUse {
  /** LVM does not let go what is open. */
  isOpen(volume: FakeVolume): boolean
  writtenBytes(volume: FakeVolume): number
}

const unused: VolumeUse = { isOpen: () => false, writtenBytes: () => 0 }

class Refusal extends Error {
  readonly code: number
  constructor(message: string, code = 5) {
    super(message)
    this.code = code
  }
}

/** Options with a value, short and long; all others are flags. */
const withValue = new Set(
  'name n size L virtualsize V thinpool T extents l options o units select S reportformat config type wipesignatures W zero Z activate a addtag deltag permission chunksize setactivationskip k separator'.split(
    ' ',
  ),
)
const longName: Readonly<Record<string, string>> = {
  n: 'name',
  L: 'size',
  V: 'virtualsize',
  T: 'thinpool',
  l: 'extents',
  o: 'options',
  S: 'select',
  W: 'wipesignatures',
  Z: 'zero',
  a: 'activate',
  s: 'snapshot',
  y: 'yes',
  k: 'setactivationskip',
  f: 'force',
  t: 'test',
  K: 'ignoreactivationskip',
  r: 'resizefs',
} // prettier-ignore

interface Words {
  readonly options: ReadonlyMap<string, readonly string[]>
  readonly names: readonly string[]
}

function parse(argv: readonly string[]): Words {
  const options = new Map<string, string[]>()
  const names: string[] = []
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [, long, , short, tail = ''] = /^(?:--([a-z]+)(=.*)?|-([a-zA-Z])(.*))$/.exec(word) ?? []
    if (long === undefined && short === undefined) {
      names.push(word)
      continue
    }
    const raw = long ?? short ?? ''
    const inline = long === undefined ? tail || undefined : /=/.test(word) ? word.slice(word.indexOf('=') + 1) : undefined
    const value = withValue.has(raw) ? (inline ?? rest.shift() ?? '') : ''
    // -an, -wy: the value without a blank.
    const name = long ?? longName[raw] ?? raw
    options.set(name, [...(options.get(name) ?? []), value])
    if (!withValue.has(raw) && long === undefined && tail !== '') rest.unshift(`-${tail}`)
  }
  return { options, names }
}

const units: Readonly<Record<string, number>> = { b: 1, s: 512, k: 1024, m: MiB, g: 1024 * MiB, t: 1024 * 1024 * MiB }

/** As LVM reads a size: MiB without a unit; whole extents. */
export function sizeOf(text: string): number {
  const [, plus, number, unit] = /^(\+?)([\d.]+)([bsBkKmMgGtT]?)$/.exec(text) ?? []
  if (number === undefined || plus === '+') throw new Refusal(`  Invalid argument for size: ${text}`, 3)
  return Math.ceil((Number(number) * (units[(unit || 'm').toLowerCase()] ?? MiB)) / extent) * extent
}

export class FakeLvm {
  #state: LvmState

  constructor(state: LvmState = groupAtStart) {
    this.#state = state
  }

  get volumes(): readonly FakeVolume[] {
    return this.#state.volumes
  }

  run(tool: LvmTool, argv: readonly string[], { isOpen, writtenBytes }: VolumeUse = unused): LvmAnswer {
    const words = parse(argv)
    try {
      switch (tool) {
        case 'vgs':
        case 'lvs':
        case 'pvs':
          return this.#report(tool, words, writtenBytes)
        case 'lvcreate':
          return this.#create(words)
        case 'lvextend':
        case 'lvresize':
          return this.#resize(words, tool === 'lvextend')
        case 'lvremove':
          return this.#remove(words, isOpen)
        case 'lvchange':
          return this.#change(words)
        case 'lvrename':
        case 'vgchange':
          throw new Refusal(`  FAKE: ${tool} ${argv.join(' ')} is not known`, 3)
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { code: error.code, stdout: '', stderr: `${error.message}\n`, effects: [] }
    }
  }

  #report(tool: 'vgs' | 'lvs' | 'pvs', { options, names }: Words, writtenBytes: VolumeUse['writtenBytes']): LvmAnswer {
    if (options.get('reportformat')?.[0] !== 'json' || options.get('units')?.[0] !== 'b' || options.has('select'))
      throw new Refusal(`  FAKE: ${tool} answers in JSON and bytes only`, 3)
    const suffix = options.has('nosuffix') ? '' : 'B'
    const wanted = (options.get('options')?.[0] ?? 'vg_name').split(',')
    const all = tool === 'lvs' ? this.#volumeRows(suffix, writtenBytes) : tool === 'vgs' ? this.#groupRows(suffix) : this.#diskRows(suffix)
    const chosen = all.filter((row) => names.length === 0 || names.includes(row['vg_name'] ?? '') || names.includes(`${row['vg_name']}/${row['lv_name']}`))
    if (names.length > 0 && chosen.length === 0) throw new Refusal(`  Volume group "${names[0]?.split('/')[0]}" not found`)
    const rows = chosen.map((row) =>
      Object.fromEntries(
        wanted.map((field) => {
          const value = row[field]
          if (value === undefined) throw new Refusal(`  FAKE: ${tool} has no field ${field}`, 3)
          return [field, value]
        }),
      ),
    )
    const table = { vgs: 'vg', lvs: 'lv', pvs: 'pv' }[tool]
    return { code: 0, stdout: `${JSON.stringify({ report: [{ [table]: rows }] }, null, 2)}\n`, stderr: '', effects: [] }
  }

  #volumeRows(suffix: string, writtenBytes: VolumeUse['writtenBytes']): Readonly<Record<string, string>>[] {
    const pools = this.#state.groups.flatMap(({ name, bytes, pools: own }) =>
      own.map((pool) => this.#row({ group: name, name: pool, bytes: bytes - 64 * MiB, pool: '', origin: '', tags: [], active: true }, 'thin-pool', suffix, 1)),
    )
    return [
      ...pools,
      ...this.#state.volumes.map((volume) => this.#row(volume, volume.pool === '' ? 'linear' : 'thin', suffix, (writtenBytes(volume) / volume.bytes) * 100)),
    ]
  }

  #row(volume: FakeVolume, segtype: string, suffix: string, percent: number): Readonly<Record<string, string>> {
    const { group, name, bytes, pool, origin, tags, active } = volume
    return {
      vg_name: group,
      lv_name: name,
      lv_full_name: `${group}/${name}`,
      lv_path: segtype === 'thin-pool' ? '' : `/dev/${group}/${name}`,
      lv_size: `${bytes}${suffix}`,
      segtype,
      pool_lv: pool,
      origin,
      lv_active: active ? 'active' : '',
      lv_metadata_size: segtype === 'thin-pool' ? `${16 * MiB}${suffix}` : '',
      data_percent: segtype === 'linear' ? '' : percent.toFixed(2),
      metadata_percent: segtype === 'thin-pool' ? '1.00' : '',
      lv_health_status: '',
      lv_tags: tags.join(','),
      lv_attr: segtype === 'thin-pool' ? 'twi-aotz--' : 'Vwi-a-tz--',
    }
  }

  #groupRows(suffix: string): Readonly<Record<string, string>>[] {
    return this.#state.groups.map(({ name, bytes, pools }) => ({
      vg_name: name,
      vg_uuid: `fakefk-0000-0000-0000-0000-0000-${name.padEnd(6, '0').slice(0, 6)}`,
      vg_size: `${bytes}${suffix}`,
      vg_free: `0${suffix}`,
      vg_extent_size: `${extent}${suffix}`,
      lv_count: String(pools.length + this.#state.volumes.filter(({ group }) => group === name).length),
      vg_missing_pv_count: '0',
      vg_exported: '',
    }))
  }

  #diskRows(suffix: string): Readonly<Record<string, string>>[] {
    return this.#state.groups.map(({ name, bytes, disk }) => ({ pv_name: disk, vg_name: name, dev_size: `${bytes}${suffix}` }))
  }

  #create({ options, names }: Words): LvmAnswer {
    const name = options.get('name')?.[0] ?? ''
    const snapshot = options.has('snapshot')
    const [groupName = '', originName = ''] = (names[0] ?? '').split('/')
    const thinpool = options.get('thinpool')?.[0] ?? ''
    const group = this.#state.groups.find((one) => one.name === groupName)
    if (group === undefined) throw new Refusal(`  Volume group "${groupName}" not found\n  Cannot process volume group ${groupName}`)
    if (!/^[\w.+-]+$/.test(name)) throw new Refusal('  FAKE: a volume needs a name', 3)
    if (this.#find(groupName, name) !== undefined) throw new Refusal(`  Logical Volume "${name}" already exists in volume group "${groupName}"`)
    const origin = snapshot ? this.#existing(groupName, originName) : undefined
    const pool = origin === undefined ? (thinpool.split('/').at(-1) ?? '') : origin.pool
    if (pool !== '' && !group.pools.includes(pool)) throw new Refusal(`  Thin pool ${groupName}/${pool} not found.`)
    const bytes = origin?.bytes ?? sizeOf(options.get('virtualsize')?.[0] ?? options.get('size')?.[0] ?? '')
    if (bytes === 0) throw new Refusal('  Unable to create new logical volume with no extents.')
    const tags = options.get('addtag') ?? []
    // A snapshot of a thin volume is not activated by itself.
    const volume: FakeVolume = { group: groupName, name, bytes, pool, origin: origin?.name ?? '', tags, active: origin === undefined || origin.pool === '' }
    this.#state = { ...this.#state, volumes: [...this.#state.volumes, volume] }
    return { code: 0, stdout: `  Logical volume "${name}" created.\n`, stderr: '', effects: [{ kind: 'made', volume }] }
  }

  #resize({ options, names }: Words, onlyLarger: boolean): LvmAnswer {
    const old = this.#existing(...splitName(names[0]))
    const bytes = sizeOf(options.get('size')?.[0] ?? '')
    if (!onlyLarger || bytes < old.bytes) throw new Refusal('  New size given is not larger than existing size')
    if (bytes === old.bytes) throw new Refusal(`  New size (${bytes / extent} extents) matches existing size (${bytes / extent} extents).`)
    const volume = this.#replace(old, { bytes })
    const said = `  Size of logical volume ${old.group}/${old.name} changed from ${old.bytes / MiB}.00 MiB (${old.bytes / extent} extents) to ${bytes / MiB}.00 MiB (${bytes / extent} extents).\n`
    return { code: 0, stdout: `${said}  Logical volume ${old.group}/${old.name} successfully resized.\n`, stderr: '', effects: [{ kind: 'changed', volume }] }
  }

  #remove({ names }: Words, isOpen: (volume: FakeVolume) => boolean): LvmAnswer {
    const volume = this.#existing(...splitName(names[0]))
    if (isOpen(volume)) throw new Refusal(`  Logical volume ${volume.group}/${volume.name} in use.`)
    this.#state = { ...this.#state, volumes: this.#state.volumes.filter((one) => one !== volume) }
    return { code: 0, stdout: `  Logical volume "${volume.name}" successfully removed.\n`, stderr: '', effects: [{ kind: 'removed', volume }] }
  }

  #change({ options, names }: Words): LvmAnswer {
    const old = this.#existing(...splitName(names[0]))
    const activate = options.get('activate')?.[0]
    const gone = new Set(options.get('deltag') ?? [])
    const tags = [...new Set([...old.tags, ...(options.get('addtag') ?? [])])].filter((tag) => !gone.has(tag))
    const volume = this.#replace(old, { tags, active: activate === undefined ? old.active : !activate.includes('n') })
    return { code: 0, stdout: `  Logical volume ${old.group}/${old.name} changed.\n`, stderr: '', effects: [{ kind: 'changed', volume }] }
  }

  #replace(old: FakeVolume, change: Partial<FakeVolume>): FakeVolume {
    const volume = { ...old, ...change }
    this.#state = { ...this.#state, volumes: this.#state.volumes.map((one) => (one === old ? volume : one)) }
    return volume
  }

  #find(group: string, name: string): FakeVolume | undefined {
    return this.#state.volumes.find((one) => one.group === group && one.name === name)
  }

  #existing(group: string, name: string): FakeVolume {
    const found = this.#find(group, name)
    if (found === undefined) throw new Refusal(`  Failed to find logical volume "${group}/${name}"`)
    return found
  }
}

const splitName = (path = ''): [string, string] => {
  const [group = '', name = ''] = path.replace(/^\/dev\//, '').split('/')
  return [group, name]
}
