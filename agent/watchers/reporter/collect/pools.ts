/** Thin pools of LVM. */
import { readPools } from '../../../adapters/lvm.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf } from '../value.ts'

export const pools: Collector = {
  name: 'thin pools',
  every: 600,
  deadline: 35_000,
  async collect({ signal }) {
    const all = (await readPools(signal)).map((pool) => ({ ...pool, path: `${pool.volumeGroup}/${pool.name}` }))
    return [
      { key: 'hive.pool.discovery', value: discovered(all.map(({ path }) => ({ '{#POOL}': path }))) },
      ...all.flatMap(({ path, dataPercent, metadataPercent }) =>
        dataPercent === undefined || metadataPercent === undefined
          ? []
          : [
              { key: keyOf('hive.pool.data', path), value: dataPercent },
              { key: keyOf('hive.pool.metadata', path), value: metadataPercent },
            ],
      ),
    ]
  },
}
