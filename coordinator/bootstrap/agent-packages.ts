/** The agent as this hivecoord has it: one version, packaged for each kind of host. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { fromManifest, type PackagedAgent, type PackageKind, packagedAgent } from './embedded-packages.ts'

export interface AgentPackages {
  readonly version: string
  /** SHA-256 of the executable, hex, whatever it is packed in: what a running agent tells of itself. */
  readonly binarySha256: string
  /** Throws HiveError 'not-found' where there is none for hosts of this kind. */
  of(kind: PackageKind): Promise<PackagedAgent>
}

/** Packages of the folder HIVE_AGENT_PACKAGES (with a manifest.json, as releases have it), else those that belong to this hivecoord. */
const find = async (kind: PackageKind): Promise<PackagedAgent | undefined> => {
  const folder = process.env['HIVE_AGENT_PACKAGES']
  if (folder === undefined) return packagedAgent(kind)
  const manifest = await readFile(join(folder, 'manifest.json'), 'utf8').catch((cause: unknown) => {
    throw new HiveError('not-found', `there is no manifest.json in ${folder}`, { hint: 'HIVE_AGENT_PACKAGES names a folder of packages', cause })
  })
  return fromManifest(kind, manifest, (fileName) => readFile(join(folder, fileName)))
}

/** All hosts get the same bytes, which are read and checked once. */
function readOnce(agent: PackagedAgent): PackagedAgent {
  let bytes: Promise<Uint8Array> | undefined
  return {
    ...agent,
    bytes: () => {
      bytes ??= agent.bytes()
      return bytes
    },
  }
}

/** Throws HiveError 'not-found' where hivecoord has no package at all. */
export async function findAgentPackages(): Promise<AgentPackages> {
  const found = new Map<PackageKind, Promise<PackagedAgent>>()
  const of = (kind: PackageKind): Promise<PackagedAgent> => {
    const known = found.get(kind)
    if (known !== undefined) return known
    const asked = find(kind).then(
      (agent) => {
        if (agent !== undefined) return readOnce(agent)
        throw new HiveError('not-found', `this hivecoord has no ${kind} package of the agent`, { hint: 'install hivecoord again, or run it from a checkout' })
      },
      (error: unknown) => {
        throw error instanceof HiveError ? error : new HiveError('not-found', `there is no ${kind} package of the agent: ${messageOf(error)}`, { cause: error })
      },
    )
    found.set(kind, asked)
    asked.catch(() => undefined)
    return asked
  }
  // Of one binary both: where one kind cannot be built on this machine, the other tells as much.
  const { version, binarySha256 } = await of('deb').catch((error: unknown) =>
    of('rpm').catch(() => {
      throw error
    }),
  )
  return { version, binarySha256, of }
}
