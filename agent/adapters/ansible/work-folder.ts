/** Unpacked site content, one folder for each content digest. Kept for the next run, except where it holds the key of the site's CA. */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../command.ts'
import { assertMayMutate } from '../gate.ts'

/** How many unpacked contents that nobody uses are kept. */
const kept = 3

/** The CA's key in a folder of content. */
const keyFile = 'context/ca/cakey.pem'

const users = new Map<string, number>()
const unpacking = new Map<string, Promise<string>>()

/** Runs `work` with the folder of this content, unpacked when it is not there yet. */
export async function withContent<T>(root: string, sha256: string, archive: string, signal: AbortSignal, work: (folder: string) => Promise<T>): Promise<T> {
  assertMayMutate(`unpack ${archive}`)
  users.set(sha256, (users.get(sha256) ?? 0) + 1)
  try {
    return await work(await unpacked(root, sha256, archive, signal))
  } finally {
    const left = (users.get(sha256) ?? 1) - 1
    if (left > 0) users.set(sha256, left)
    else {
      users.delete(sha256)
      await prune(root)
    }
  }
}

/** A folder of one run beside the contents; the caller removes it. */
export async function runFolder(root: string): Promise<string> {
  assertMayMutate(`make a folder in ${root}`)
  await mkdir(root, { recursive: true, mode: 0o700 })
  return mkdtemp(join(root, 'run-'))
}

function unpacked(root: string, sha256: string, archive: string, signal: AbortSignal): Promise<string> {
  const key = join(root, sha256)
  const running = unpacking.get(key)
  if (running !== undefined) return running
  const started = unpack(root, sha256, archive, signal).finally(() => unpacking.delete(key))
  unpacking.set(key, started)
  return started
}

/** Unpacks beside and renames, so that a folder of this name is always complete. */
async function unpack(root: string, sha256: string, archive: string, signal: AbortSignal): Promise<string> {
  const folder = join(root, sha256)
  await mkdir(root, { recursive: true, mode: 0o700 })
  await chmod(root, 0o700)
  if (await exists(folder)) {
    const now = new Date()
    await utimes(folder, now, now)
    return folder
  }
  const beside = await mkdtemp(join(root, 'unpack-'))
  try {
    await run(['tar', '--extract', '--no-same-owner', '--file', archive, '--directory', beside], { signal, timeout: 120_000 })
    await rename(beside, folder)
  } catch (thrown) {
    await rm(beside, { recursive: true, force: true })
    throw thrown
  }
  return folder
}

/**
 * Takes away contents with the key of the site's CA that nobody uses and that are not `needed`, once `forget` has let go of the archive
 * (true). Answers whether some are left.
 */
export async function forgetKeys(root: string, needed: ReadonlySet<string>, forget: (sha256: string) => Promise<boolean>): Promise<boolean> {
  let left = false
  for (const name of await contents(root)) {
    if (!(await exists(join(root, name, keyFile)))) continue
    // The archive first: after a kill in between this folder still tells of it.
    if (!users.has(name) && !needed.has(name) && (await forget(name))) await rm(join(root, name), { recursive: true, force: true })
    else left = true
  }
  return left
}

/** Takes away folders that runs of a killed agent left. Not while anything runs. */
export async function removeLeftovers(root: string): Promise<void> {
  const names = (await readdir(root).catch(() => [])).filter((name) => /^(run|unpack)-/.test(name))
  await Promise.all(names.map((name) => rm(join(root, name), { recursive: true, force: true })))
}

const contents = async (root: string): Promise<string[]> => (await readdir(root).catch(() => [])).filter((name) => /^[0-9a-f]{64}$/.test(name))

async function prune(root: string): Promise<void> {
  const withKey = await Promise.all((await contents(root)).map(async (name) => ({ name, key: await exists(join(root, name, keyFile)) })))
  const digests = withKey.filter(({ name, key }) => !key && !users.has(name)).map(({ name }) => name)
  const ages = await Promise.all(digests.map(async (name) => ({ name, at: (await stat(join(root, name)).catch(() => undefined))?.mtimeMs ?? 0 })))
  const old = ages.sort((a, b) => b.at - a.at).slice(kept)
  await Promise.all(old.map(({ name }) => rm(join(root, name), { recursive: true, force: true })))
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
