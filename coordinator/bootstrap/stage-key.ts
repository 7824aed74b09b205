/** The stage's ssh key pair, CONTEXT_DIR/id_rsa: for the bootstrap and for `hivecoord ssh`. */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../providers/command.ts'
import { writeFileAtomic } from '../run/atomic-file.ts'

export interface StageKey {
  readonly identityFile: string
  /** One authorized_keys line. */
  readonly publicKey: string
}

export const identityFileOf = (contextDir: string): string => join(contextDir, 'id_rsa')

/** Makes the pair where there is none; makes the public half anew where only that is missing. */
export async function ensureStageKey(contextDir: string, siteName: string): Promise<StageKey> {
  const identityFile = identityFileOf(contextDir)
  mkdirSync(contextDir, { recursive: true, mode: 0o700 })
  if (!existsSync(identityFile)) {
    // Made beside its place, so that a killed ssh-keygen leaves no half of a pair.
    const temporary = `${identityFile}.new`
    await run(['rm', '-f', temporary, `${temporary}.pub`])
    await run(['ssh-keygen', '-q', '-t', 'rsa', '-b', '3072', '-N', '', '-C', `hive ${siteName}`, '-f', temporary])
    renameSync(`${temporary}.pub`, `${identityFile}.pub`)
    renameSync(temporary, identityFile)
  }
  if (!existsSync(`${identityFile}.pub`)) {
    const { stdout } = await run(['ssh-keygen', '-y', '-f', identityFile])
    writeFileAtomic(`${identityFile}.pub`, stdout, 0o644)
  }
  return { identityFile, publicKey: readFileSync(`${identityFile}.pub`, 'utf8').trim() }
}
