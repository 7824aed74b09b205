/** All unit tests as one file: they share one process, since starting one for each of them would take longer than they do. */
import { globSync } from 'node:fs'
import { join } from 'node:path'

for (const file of globSync('unit/**/*.test.ts', { cwd: import.meta.dirname }).sort()) await import(join(import.meta.dirname, file))
