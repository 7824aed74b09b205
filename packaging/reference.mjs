/** Writes docs/inventory-reference.md, and the tables of docs/api.md and docs/monitoring-items.md, anew: `npm run docs`. */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { inventoryReference } from '../coordinator/inventory/reference/reference.ts'
import { apiTables, readContract } from '../proto/api-tables.ts'
import { rules } from '../proto/roles.ts'
import './monitoring-tables.mjs'

const file = (path) => new URL(`../${path}`, import.meta.url)
const read = (path) => readFileSync(file(path), 'utf8')

writeFileSync(file('docs/inventory-reference.md'), inventoryReference())

const protos = globSync('proto/hive/v1/*.proto', { cwd: file('.').pathname })
  .sort()
  .map(read)
const api = read('docs/api.md')
writeFileSync(file('docs/api.md'), api.slice(0, api.indexOf('\n### ') + 1) + apiTables(readContract(protos), rules))
