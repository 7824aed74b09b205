/** Where the fake and a recording differ, in what can be equal: states, refusals and exit codes, not counters, times and progress. */
import { existsSync, readFileSync } from 'node:fs'
import type { FakeCluster } from '../cluster.ts'
import type { TypedStep } from '../recordings.ts'
import { adjustCommands } from './drbdadm.ts'
import type { Machine, Output } from './shell.ts'

const STATUS = /^(hive|two) role:|^ {2,}\S/
const REFUSAL =
  /State change failed|Failure: \(|nodes visible|Declined by|opened by|meta-data:|No valid meta|^mount: \/|dd: failed|is configured|Command 'drbdsetup|unknown connection|requires a local/

/** Progress and the traffic of the moment. */
const still = (line: string): string =>
  line
    .replace(/ done:[\d.]+/, '')
    .replace(/ congested:yes ap-in-flight:\d+ rs-in-flight:\d+/, '')
    .replace(/ blocked:\w+/, '')
    .replace(/\(pid \d+\) at .*/, '')
    .replace(/replication:WFBitMap([ST])/, 'replication:Sync$1')
    .replace(/replication:(Paused)?Sync([ST])\w*/, 'replication:Sync$2')
    .replace(/\s*resync-suspended:\S+/, '')
    .trimEnd()

const lines = (text: string, which: RegExp): string[] =>
  text
    .split('\n')
    .filter((line) => which.test(line))
    .map(still)
    .filter((line) => line.trim() !== '')

export function differencesOfStep(step: TypedStep, output: Output): string[] {
  const found: string[] = []
  const compare = (what: string, recorded: string[], ours: string[]): void => {
    if (recorded.join('\n') !== ours.join('\n')) found.push(`${step.command.split('\n').at(-1)}\n  ${what}\n${difference(recorded, ours)}`)
  }
  if (/drbdsetup status \w+ --verbose|drbdadm status;|\| tail -12/.test(step.command)) return []
  compare('status', lines(step.stdout, STATUS), lines(output.stdout, STATUS))
  compare('refusals', lines(step.stderr, REFUSAL), lines(output.stderr, REFUSAL))
  const codes = lines(output.stdout, /rc=\d/)
  const recordedCodes = lines(step.stdout, /rc=\d/).filter((line) => codes.some((code) => code.split('=')[0] === line.split('=')[0]))
  if (codes.length <= recordedCodes.length) compare('codes', recordedCodes.slice(0, codes.length), codes)
  if (output.code !== undefined && output.code !== step.exit)
    found.push(`${step.command.split('\n').at(-1)}\n  exit code, recorded ${step.exit}, fake ${output.code}`)
  return found
}

/** The lines of the recording (-) and of the fake (+) between their common beginning and end. */
function difference(recorded: readonly string[], ours: readonly string[]): string {
  let first = 0
  while (first < Math.min(recorded.length, ours.length) && recorded[first] === ours[first]) first++
  let last = 0
  while (last < Math.min(recorded.length, ours.length) - first && recorded.at(-1 - last) === ours.at(-1 - last)) last++
  const side = (mark: string, all: readonly string[]): string[] => all.slice(first, all.length - last).map((line) => `    ${mark} ${line}`)
  return [...side('-', recorded), ...side('+', ours)].join('\n')
}

/** status, events2, show and the dry adjust of one host, as they were written down. */
export function differencesOfViews(cluster: FakeCluster, machine: Machine, folder: string, now: number): string[] {
  const found: string[] = []
  const recorded = (name: string): string | undefined => (existsSync(`${folder}/${name}`) ? readFileSync(`${folder}/${name}`, 'utf8') : undefined)
  const compare = (what: string, theirs: string | undefined, ours: string): void => {
    if (theirs !== undefined && theirs !== ours) found.push(`${what}\n${difference(theirs.split('\n'), ours.split('\n'))}`)
  }
  const run = (...argv: string[]): string => cluster.host(machine.name).run(argv, { now }).stdout
  compare('status', eventless(recorded('drbdsetup-status-all.json'), jsonStates), jsonStates(run('status', '--json', '--statistics')))
  const events = recorded('drbdsetup-events2-now.txt')
  const resource = /name:(\S+)/.exec(events ?? '')?.[1] ?? 'hive'
  compare('events2', eventless(events, eventStates), eventStates(run('events2', '--now', resource)))
  compare('show', recorded('drbdsetup-show.txt'), run('show'))
  compare('show --json', eventless(recorded('drbdsetup-show.json'), asJson), asJson(run('show', '--json')))
  const file = machine.files.get(resource)
  const host = cluster.state.hosts[machine.name]
  if (file !== undefined && host !== undefined) {
    const commands = adjustCommands(file, machine.name, host).map((command) => `${command.join(' ')}\n`)
    compare('adjust -d', recorded('drbdadm-adjust-d.txt'), commands.join(''))
  }
  return found
}

const eventless = (text: string | undefined, as: (text: string) => string): string | undefined => (text === undefined ? undefined : as(text))
const asJson = (text: string): string => JSON.stringify(JSON.parse(text), undefined, 1)

/** promotion_score and may_promote are part of what is compared; a resync's pauses are not: two at a time depend on the moment. */
const eventStates = (text: string): string => text.split('\n').map(still).join('\n')

const COUNTERS = new Set([
  'size',
  'read',
  'written',
  'al-writes',
  'bm-writes',
  'upper-pending',
  'lower-pending',
  'ap-in-flight',
  'rs-in-flight',
  'received',
  'sent',
  'out-of-sync',
  'pending',
  'unacked',
])
const MOMENT = /^(rs-|ov-|db|want|percent|estimated|congested|resync-suspended|has-sync)/

function jsonStates(text: string): string {
  const strip = (key: string, value: unknown): unknown =>
    COUNTERS.has(key) || MOMENT.test(key) ? undefined : typeof value === 'string' ? still(`replication:${value}`).replace('replication:', '') : value
  return JSON.stringify(JSON.parse(text), strip, 1)
}
