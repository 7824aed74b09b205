/** Where the agent's executable is: named by the environment, built from the checkout, or installed beside hivecoord. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { HiveError } from '../../proto/errors.ts'
import { writeFileAtomic } from '../run/atomic-file.ts'
import type { AgentBinary } from './install-agent.ts'

const installed = ['/usr/share/hive/hive-agent', '/usr/lib/hive/hive-agent', '/usr/bin/hive-agent']

/** The nearest folder above this file that can build the agent. */
function checkout(): string | undefined {
  const named = process.env['HIVE_CHECKOUT']
  if (named !== undefined) return named
  for (let folder = import.meta.dirname; dirname(folder) !== folder; folder = dirname(folder))
    if (existsSync(join(folder, 'packaging/build-agent.mjs'))) return folder
  return undefined
}

async function locate(): Promise<{ readonly path: string; readonly sha256: string }> {
  const given = process.env['HIVE_AGENT_BINARY']
  const root = given === undefined ? checkout() : undefined
  if (root !== undefined) {
    const builder = (await import(pathToFileURL(join(root, 'packaging/build-agent.mjs')).href)) as { buildAgent(): Promise<{ path: string; sha256: string }> }
    return builder.buildAgent()
  }
  const path = given ?? installed.find((candidate) => existsSync(candidate))
  if (path === undefined || !existsSync(path))
    throw new HiveError('not-found', `the agent's executable is not at ${path ?? installed.join(', ')}`, {
      hint: 'install it, or name it in HIVE_AGENT_BINARY',
    })
  return {
    path,
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  }
}

/** Throws HiveError 'not-found' where there is none. */
export async function findAgentBinary(): Promise<AgentBinary> {
  const { path, sha256 } = await locate()
  let compressed: Promise<Uint8Array> | undefined
  return {
    sha256,
    compressed: () => {
      compressed ??= compress(path, sha256)
      return compressed
    },
  }
}

/** Compressing takes seconds and gives the same each time, so it is kept in the cache where that can be written. */
async function compress(path: string, sha256: string): Promise<Uint8Array> {
  const folder = process.env['HIVE_CACHE'] ?? (process.getuid?.() === 0 ? '/var/cache/hive' : join(homedir(), '.cache/hive'))
  const cached = join(folder, `agent-${sha256.slice(0, 32)}.gz`)
  try {
    return await readFile(cached)
  } catch {
    // not there yet
  }
  const bytes = await promisify(gzip)(await readFile(path), { level: 1 })
  try {
    mkdirSync(folder, { recursive: true })
    writeFileAtomic(cached, bytes, 0o644)
  } catch {
    // a cache that can't be written costs time, nothing else
  }
  return bytes
}
