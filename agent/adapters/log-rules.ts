/** Rules of services for rsyslog, which says whether it takes them before they are put in place. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import type { EnsureLogRules, LogRule } from '#gen/hive/v1/steps_logs.ts'
import { HiveError } from '../../proto/errors.ts'
import { isServiceName, logConfig, logRuleFolder, logRuleList, logRuleMark } from '../../proto/log-files.ts'
import { run } from './command.ts'
import { readText, removeFile, rootFile, writeFileAtomic, writeFileValidated } from './files.ts'
import { stateFolder } from './state-folder.ts'

/** Where things are; elsewhere in tests. */
export interface RulePlaces {
  readonly config: string
  readonly folder: string
  /** Digests of the rules in place. */
  readonly list: string
  /** A configuration that is tried. */
  readonly trial: string
  readonly rsyslogd: readonly [string, ...string[]]
}

export const rulePlaces = (): RulePlaces => ({
  config: logConfig,
  folder: logRuleFolder,
  list: logRuleList,
  trial: path.join(stateFolder(), 'log-rule-trial.conf'),
  rsyslogd: ['/usr/sbin/rsyslogd'],
})

export interface RuleDifference {
  /** Rules that are not in place as they shall be. */
  readonly writes: readonly { readonly rule: LogRule; readonly before: string }[]
  /** Names of files that must not be there. */
  readonly removals: readonly string[]
  /** The list is not that of the files there are: something was begun, or somebody else wrote. */
  readonly listDiffers: boolean
}

export async function compareRules(spec: EnsureLogRules, places: RulePlaces): Promise<RuleDifference> {
  const wrong = [...spec.rules.map(({ service }) => service), ...spec.absent].find((name) => !isServiceName(name))
  if (wrong !== undefined) throw new HiveError('invalid-input', `"${wrong}" is no name of a service`)
  const named = new Set(spec.rules.map(({ service }) => `${service}.conf`))
  const removals: string[] = []
  for (const name of await ruleFiles(places)) {
    if (named.has(name)) continue
    if (spec.absent.includes(name.replace(/\.conf$/, ''))) removals.push(name)
    else if (spec.complete && (await readText(path.join(places.folder, name))).startsWith(logRuleMark)) removals.push(name)
  }
  const writes: { rule: LogRule; before: string }[] = []
  for (const rule of spec.rules) {
    const before = await readText(path.join(places.folder, `${rule.service}.conf`))
    if (before !== rule.content) writes.push({ rule, before })
  }
  return { writes, removals, listDiffers: (await listOfFiles(places)) !== (await readText(places.list)) }
}

/** Answers what was refused, "SERVICE: REASON"; of these the old rule stays. The list is last: what a unit is restarted by. */
export async function writeRules({ writes, removals }: RuleDifference, places: RulePlaces, signal: AbortSignal): Promise<readonly string[]> {
  const refused: string[] = []
  for (const { rule } of writes) {
    const why = await put(rule, places, signal)
    if (why !== undefined) refused.push(`${rule.service}: ${why}`)
  }
  for (const name of removals) await removeFile(path.join(places.folder, name))
  const list = await listOfFiles(places)
  if (list !== (await readText(places.list))) await writeFileAtomic(places.list, list, rootFile)
  return refused
}

/** Puts the rule in place if rsyslog takes it, alone with the rest of the configuration; else answers why not. */
async function put(rule: LogRule, places: RulePlaces, signal: AbortSignal): Promise<string | undefined> {
  let why: string | undefined
  try {
    await writeFileValidated(path.join(places.folder, `${rule.service}.conf`), rule.content, rootFile, async (temporary) => {
      const config = await readText(places.config)
      await writeFileAtomic(places.trial, config.replaceAll(`${places.folder}/*.conf`, temporary), rootFile)
      await run([...places.rsyslogd, '-N1', '-f', places.trial], { signal }).catch((error: unknown) => {
        if (!(error instanceof HiveError) || error.code !== 'command-failed') throw error
        why = complaint(error.log)
        throw error
      })
    })
  } catch (error) {
    if (why === undefined) throw error
  } finally {
    await removeFile(places.trial)
  }
  return why
}

/** What rsyslog said, without what is the same each time. */
export const complaint = (log: readonly string[]): string =>
  log
    .filter((line) => line.includes('error') || line.includes('cannot'))
    .map((line) =>
      line
        .replace(/^rsyslogd: /, '')
        .replace(/^error during parsing file \S+, on or before line \d+: /, '')
        .replace(/ \[v\S+ try .*\]\s*$/, ''),
    )
    .filter((line) => !line.startsWith('errors occurred in file'))
    .slice(0, 3)
    .join(', ') || log.join(' ')

async function ruleFiles({ folder }: RulePlaces): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.conf') && !name.startsWith('.')).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function listOfFiles(places: RulePlaces): Promise<string> {
  const names = await ruleFiles(places)
  const lines = await Promise.all(names.map(async (name) => `${digest(await readText(path.join(places.folder, name)))} ${name}\n`))
  return lines.join('')
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
