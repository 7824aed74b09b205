/** What `drbdadm adjust` would do: its own words, printed and not done. */

import { sharedAnswer } from '../shared-answer.ts'
import { configured, globalSection, includeOf } from './resource-store.ts'
import { drbdadm, drbdMutations } from './tools.ts'

/**
 * The drbdsetup and drbdmeta commands that would bring the running resource to what `text`, a resource file, says; empty: nothing to do.
 * Throws HiveError 'command-failed' for a text that drbdadm does not take: it is tried here before it gets into place.
 */
export async function plannedCommands(name: string, text: string, signal?: AbortSignal): Promise<readonly string[]> {
  const options = { readOnly: true, input: globalSection + text, ...(signal === undefined ? {} : { signal }) }
  return lines((await drbdadm(['-c', '-', '-d', 'adjust', name], options)).stdout)
}

/**
 * As above, with the resource file as it is in place. In the usual case that nothing is to be done, one command answers for all resources;
 * else, and where one file spoils it for all, each is asked for by itself.
 */
export async function pendingCommands(name: string, text: string, signal?: AbortSignal): Promise<readonly string[]> {
  return (await settled.get(signal)).has(name) ? [] : plannedCommands(name, text, signal)
}

const settled = sharedAnswer<ReadonlySet<string>>(async () => {
  const names = await configured()
  if (names.length === 0) return new Set()
  const answer = await drbdadm(['-c', '-', '-d', 'adjust', 'all'], { readOnly: true, input: globalSection + names.map(includeOf).join('') }).catch(
    () => undefined,
  )
  return new Set(answer !== undefined && lines(answer.stdout).length === 0 ? names : [])
}, drbdMutations)

const lines = (text: string): string[] => text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
