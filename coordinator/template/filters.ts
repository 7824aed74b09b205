/** All filters by name. */
import type { Toolbox } from './evaluate.ts'
import { dataFilters } from './filters-data.ts'
import { listFilters } from './filters-list.ts'
import { networkFilters } from './filters-network.ts'
import { setFilters } from './filters-set.ts'
import { textFilters } from './filters-text.ts'
import type { Arguments } from './values.ts'

export interface Filter {
  (value: unknown, args: Arguments, tools: Toolbox): unknown
  /** default and mandatory decide about undefined values themselves; all others fail on them. */
  takesUndefined?: boolean
}

export type Filters = Readonly<Record<string, Filter>>

const filters: Filters = { ...listFilters, ...setFilters, ...textFilters, ...dataFilters, ...networkFilters }

export const filterNames: readonly string[] = Object.keys(filters)

/** By its name, also with the collection before it. */
export function findFilter(name: string): Filter | undefined {
  const short = name.replace(/^(?:ansible\.(?:builtin|legacy|utils|netcommon))\./, '')
  return Object.hasOwn(filters, short) ? filters[short] : undefined
}
