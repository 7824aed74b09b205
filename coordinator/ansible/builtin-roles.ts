/** The roles that come with the coordinator: folders of the checkout or installation, or inside its one executable. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { getAssetKeys, getRawAsset, isSea } from 'node:sea'
import { HiveError } from '../../proto/errors.ts'
import { type TreeFile, treeFiles } from './tree.ts'

const prefix = 'builtin-roles/'
let known: Promise<readonly TreeFile[]> | undefined

/** All their files, sorted, paths beginning with the role's name. Read once. Throws HiveError 'internal' where they are missing. */
export function builtInRoles(): Promise<readonly TreeFile[]> {
  known ??= isSea() ? Promise.resolve(embedded()) : treeFiles(folder())
  return known
}

function folder(): string {
  const checkout = process.env['HIVE_CHECKOUT']
  const candidates = [
    ...(checkout === undefined ? [] : [join(checkout, 'coordinator/builtin-roles')]),
    join(import.meta.dirname, '../builtin-roles'),
    join(import.meta.dirname, 'builtin-roles'),
  ]
  const found = candidates.find(existsSync)
  if (found === undefined) throw missing(candidates)
  return found
}

function embedded(): TreeFile[] {
  const names = getAssetKeys().filter((name) => name.startsWith(prefix))
  if (names.length === 0) throw missing([])
  return names.sort().map((name) => ({ path: name.slice(prefix.length), executable: false, content: Buffer.from(getRawAsset(name)), link: undefined }))
}

const missing = (log: readonly string[]): HiveError => new HiveError('internal', 'the built-in roles are missing from this installation', { log })
