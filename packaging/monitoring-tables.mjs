/** Writes the tables of docs/monitoring-items.md anew, from the catalogue: `node packaging/monitoring-tables.mjs`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { templates } from '../proto/monitoring/catalogue.ts'
import { catalogueTables } from '../proto/monitoring/tables.ts'

const path = new URL('../docs/monitoring-items.md', import.meta.url)
const text = readFileSync(path, 'utf8')
writeFileSync(path, text.slice(0, text.indexOf('\n## ') + 1) + catalogueTables(templates))
